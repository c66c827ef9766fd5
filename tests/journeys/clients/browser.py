"""A browser of a few lines, for programs that open one: goes where it is sent, and looks again where a page says so.

`browser.py ADDRESS`. Runs nothing and posts nothing; every page that it was shown and every address that it
was sent to is on standard output.
"""

import html
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

MAX_STEPS = 200
AGAIN = re.compile(r'<meta http-equiv="refresh" content="(\d+); url=([^"]+)">')


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def main(address: str) -> None:
    opener = urllib.request.build_opener(NoRedirects)
    for _ in range(MAX_STEPS):
        request = urllib.request.Request(address, headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})
        try:
            with opener.open(request, timeout=60) as answer:
                page = answer.read().decode()
        except urllib.error.HTTPError as other:
            where = other.headers.get("Location")
            if where is None:
                print(other.status, other.read().decode(), flush=True)
                return
            address = urllib.parse.urljoin(address, where)
            print("sent to", address, flush=True)
            continue
        print(page, flush=True)
        again = AGAIN.search(page)
        if again is None:
            return
        time.sleep(int(again[1]))
        address = urllib.parse.urljoin(address, html.unescape(again[2]))


main(sys.argv[1])
