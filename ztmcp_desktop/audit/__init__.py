"""The append-only record, and how it is read."""
