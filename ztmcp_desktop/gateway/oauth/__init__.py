"""The gateway as OAuth 2.1 authorization server and resource server of its endpoints."""
