"""Opens a page in the person's browser: by the desktop's own services, never by a shell."""

import re

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

# What the gateway checked already is checked once more where it leaves the program.
_PAGE = re.compile(r"https?://[A-Za-z0-9\[\]._:-]+/[A-Za-z0-9._~/%=&?:@+-]*")


def open_in_browser(page: str) -> bool:
    """Whether the page was handed to the desktop. One that is no plain page of the web is not."""
    url = QUrl(page, QUrl.ParsingMode.StrictMode)
    if not _PAGE.fullmatch(page) or not url.isValid() or url.scheme() not in {"https", "http"} or url.userInfo():
        return False
    return QDesktopServices.openUrl(url)
