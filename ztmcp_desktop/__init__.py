"""A tray application that stands between AI clients and MCP servers."""

__version__ = "0.1.0"
