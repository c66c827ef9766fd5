"""What holds for every test: an unexpected log record of ours is a failure."""

import logging
import re
from collections.abc import Iterator

import pytest


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def no_unexpected_log(request: pytest.FixtureRequest) -> Iterator[None]:
    collector = _Collector()
    root = logging.getLogger()
    root.addHandler(collector)
    yield
    root.removeHandler(collector)
    allowed = [re.compile(mark.args[0]) for mark in request.node.iter_markers("allow_log")]
    unexpected = [r.getMessage() for r in collector.records if not any(a.search(r.getMessage()) for a in allowed)]
    assert unexpected == []
