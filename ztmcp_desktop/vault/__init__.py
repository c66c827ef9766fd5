"""The keychain of the operating system, and our own records under a key from it."""
