"""A browser for tests: opens a page, follows where it is sent, and fills in the forms that it meets."""

import html
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urljoin

TOLD = re.compile(r"open this page in a browser on this machine: (\S+)")
LOOK_S = 0.05
OPEN_S = 20
MAX_FORMS = 6
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
_INPUT = re.compile(r"<input\b([^>]*)>")


def visit(page: str) -> int:
    """Open the page with no proxy between, say yes to what it asks; the status that it ends with."""
    jar = urllib.request.HTTPCookieProcessor(CookieJar())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
    asked = urllib.request.Request(page)
    try:
        for _ in range(MAX_FORMS):
            with opener.open(asked, timeout=OPEN_S) as answer:
                form = _FORM.search(answer.read().decode())
                if form is None:
                    return int(answer.status)
                asked = _filled(answer.url, form[1], form[2])
    except urllib.error.HTTPError as error:
        return error.code
    raise AssertionError("the pages never end")


def _filled(here: str, attributes: str, inside: str) -> urllib.request.Request:
    fields = {}
    for found in _INPUT.findall(inside):
        if name := _attribute(found, "name"):
            fields[name] = _attribute(found, "value") or "ada"
    target = urljoin(here, _attribute(attributes, "action") or here)
    return urllib.request.Request(target, data=urlencode(fields).encode())


def _attribute(text: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', text)
    return html.unescape(found[1]) if found else ""


@contextmanager
def watching(log: Path) -> Iterator[list[str]]:
    """Visit each page that the gateway tells of in its log, as long as this lasts; gives those that were visited."""
    over, visited = threading.Event(), list[str]()

    def watch() -> None:
        while not over.wait(LOOK_S):
            told = TOLD.findall(log.read_text(encoding="utf-8")) if log.exists() else []
            for page in told[len(visited) :]:
                visited.append(page)
                visit(page)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield visited
    finally:
        over.set()
        thread.join()
