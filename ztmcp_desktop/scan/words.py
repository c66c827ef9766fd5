"""Names taken apart into words, and JSON into its strings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ztmcp_desktop.domain.json import Json

MAX_NAME_CHARS = 512
MAX_STRINGS = 20_000
MAX_REMEMBERED = 1024

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


def word_set(text: str) -> frozenset[str]:
    """The words of a text that holds nothing else."""
    return frozenset(text.split())


PROSE_KEYS = word_set(
    "answer body caption comment content contents css description details diff explanation html instruction "
    "instructions message messages newstr newtext oldstr oldtext patch pattern prompt question regex snippet "
    "sourcecode subject summary text title xpath"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A string in JSON: `pointer` (RFC 6901) says where, `key` is the nearest member name above it."""

    pointer: str
    key: str
    value: str
    is_key: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the key."""
        return words_of(self.key)

    @property
    def prose(self) -> bool:
        """Whether the key says that this is text for people, or a document, and not the name of a thing."""
        words = self.words
        return "".join(words) in PROSE_KEYS or bool(words and words[-1] in PROSE_KEYS)


def words_of(untrusted_name: str) -> tuple[str, ...]:
    """The lower-case words of a camel, snake or kebab name; letters that are not ASCII make words of their own."""
    return _words_of(untrusted_name[:MAX_NAME_CHARS])


@lru_cache(maxsize=MAX_REMEMBERED)
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))


def strings_of(untrusted: Json) -> Iterator[Leaf]:
    """Every string in JSON, member names too, outermost first. Stops after `MAX_STRINGS + 1`: the caller refuses."""
    pending: list[tuple[str, str, Json]] = [("", "", untrusted)]
    found = 0
    for pointer, key, value in pending:
        if found > MAX_STRINGS:
            return
        match value:
            case str():
                found += 1
                yield Leaf(pointer=pointer, key=key, value=value)
            case list():
                pending += [(f"{pointer}/{index}", key, item) for index, item in enumerate(value)]
            case dict():
                for name, item in value.items():
                    if found > MAX_STRINGS:
                        return
                    where = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                    found += 1
                    yield Leaf(pointer=where, key=name, value=name, is_key=True)
                    pending.append((where, name, item))
