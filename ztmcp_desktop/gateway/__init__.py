"""MCP in and out."""
