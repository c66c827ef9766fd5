"""What the contract names and is not there yet: it says so and fails."""

from ztmcp_desktop.cli.usage import fail


def not_yet(what: str, instead: str) -> int:
    """Say that `what` is not there yet and what to do instead; exit status 1."""
    return fail(f"{what} is not there yet, nothing was changed; {instead}")
