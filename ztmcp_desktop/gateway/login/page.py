"""Which pages may be handed to the system to be opened in a browser."""

import re

from ztmcp_desktop.domain.denial import Code, Denial

MAX_PAGE_CHARS = 8192
# Nothing in it means anything to a shell, a header or a page: RFC 3986 without its sub-delims, but for `&` and `=`.
_PAGE = re.compile(r"https?://[A-Za-z0-9\[\]._:-]+/[A-Za-z0-9._~/%-]*(?:\?[A-Za-z0-9._~=&%/:@+-]*)?")


def openable(page: str) -> str:
    """The page, if it may be opened.

    Raises:
        Denial: its scheme or a character in it is none that a page to log in at needs (`server-unavailable`).
    """
    if len(page) > MAX_PAGE_CHARS or not _PAGE.fullmatch(page):
        raise Denial(Code.SERVER_UNAVAILABLE, "the page to log in at has an address that is not opened")
    return page
