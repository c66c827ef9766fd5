"""A browser for tests: opens a page, follows where it is sent, and clicks on nothing."""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOLD = re.compile(r"open this page in a browser on this machine: (\S+)")
LOOK_S = 0.05
OPEN_S = 20


def visit(page: str) -> int:
    """Open the page with no proxy between; the status that it ends with."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(page, timeout=OPEN_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def watching(log: Path) -> Iterator[None]:
    """Visit each page that the gateway tells of in its log, as long as this lasts."""
    over = threading.Event()

    def watch() -> None:
        seen = 0
        while not over.wait(LOOK_S):
            told = TOLD.findall(log.read_text(encoding="utf-8")) if log.exists() else []
            for page in told[seen:]:
                visit(page)
            seen = len(told)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
