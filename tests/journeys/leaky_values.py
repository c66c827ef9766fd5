"""The values that a leaky server gives away."""

SECRET = "hunter2-Zq8/xT+4vLk=plain"
PERSONAL = ("ada.king@lovelace.example", "+44 20 7946 0018", "4111 1111 1111 1111", "GB82WEST12345698765432")
