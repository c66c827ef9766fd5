"""The gateway as an OAuth client of the remote servers behind it."""
