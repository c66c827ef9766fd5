"""A value that must not be seen: it has no text form, is not pickled, and is opened by name."""

from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class Sealed(Generic[T]):
    """Holds a secret; `open()` is the one way to it, so that each use can be found by a search."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def open(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Sealed(…)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealed value is not pickled")
