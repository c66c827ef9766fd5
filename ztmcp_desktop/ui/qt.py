"""Loads Qt, and takes back what it does to the imports of all that is loaded after it."""

import builtins


def load() -> None:
    """Import Qt; to be called before anything else of the window is imported.

    PySide puts a function of its own in the place of `__import__`, for a `from __feature__ import` that nobody here
    writes. It reads the source of each module and leaves it in memory: 20 MiB, and a tenth of a second at start.
    """
    plain = builtins.__import__
    import PySide6.QtWidgets  # noqa: F401 - loaded for the rest of the window

    builtins.__import__ = plain
