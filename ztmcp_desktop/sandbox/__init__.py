"""Limits to a confined process, or a refusal."""
