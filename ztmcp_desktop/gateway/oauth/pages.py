"""What a browser is shown: that it has to wait, or what went wrong. Nothing on these pages can grant anything."""

import base64
import hashlib
import html

from starlette.types import Send

from ztmcp_desktop.gateway.answers import Headers, send_bytes

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;"
    "color-scheme:light dark;background:Canvas;color:CanvasText}"
    "main{max-width:34em;padding:2em}h1{font-size:1.3em;margin:0 0 .5em}p{margin:.5em 0}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Headers = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'".encode(),
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_CLOSE = (b"connection", b"close")


async def send_waiting(send: Send, wait_address: str) -> None:
    """The page that waits; it looks again at `wait_address` by itself."""
    await _send(
        send,
        200,
        "Waiting for your answer",
        ("ztmcp asks you in its own window whether to let this program in.", "This page only waits for your answer."),
        refresh=wait_address,
    )


async def send_refused(send: Send, status: int, reason: str) -> None:
    """The page for a request that has no address to send an answer to."""
    await _send(send, status, "This login cannot go on", (f"{reason[:1].upper()}{reason[1:]}.", "Nothing was allowed."))


async def send_on(send: Send, address: str) -> None:
    """Send the browser on; the address was checked when it was registered."""
    await send_bytes(send, 302, b"", ((b"location", address.encode("ascii")), *_HEADERS))


async def _send(send: Send, status: int, title: str, sentences: tuple[str, ...], refresh: str | None = None) -> None:
    again = f'<meta http-equiv="refresh" content="1; url={html.escape(refresh)}">' if refresh else ""
    said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>ztmcp: {html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{html.escape(title)}</h1>{said}</main></body></html>"
    )
    close: Headers = () if refresh else (_CLOSE,)
    await send_bytes(send, status, page.encode(), (*_HEADERS, *close))
