"""One process owns a home: it holds `run/ledger.lock`, and all others go through its control socket."""

import fcntl
import os

from ztmcp_desktop.settings import Home


class Ownership:
    """The lock on a home. It goes when the process goes, however that happens."""

    def __init__(self, home: Home) -> None:
        self._path = home.lock_file
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether this process owns the home now; never waits.

        Raises:
            OSError: the lock file cannot be opened, or is a symbolic link.
        """
        if self._descriptor is not None:
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let others own it. The file stays, so that nobody locks one that is being removed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
