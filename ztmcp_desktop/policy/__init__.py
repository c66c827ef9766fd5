"""Rules and grants."""
