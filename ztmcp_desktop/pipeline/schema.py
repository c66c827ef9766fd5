"""Checks JSON against the schemas that servers give: bounded in work, and never fetching a reference (SEP-1613)."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import re2
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json

MAX_STEPS = 100_000
MAX_VALIDATORS = 1024
MAX_MESSAGE = 200
MAX_PATTERN_BYTES = 1024 * 1024
MAX_PATTERNS = 64
COMPILE_STEPS = 100
CHARS_A_STEP = 64
_UNUSABLE = (
    *(SchemaError, UnknownType, Unresolvable),
    *(RecursionError, ArithmeticError, TypeError, AttributeError),
)
_RISKY = {"unevaluatedProperties", "patternProperties"}
_steps: ContextVar[list[int]] = ContextVar("steps")
_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _refuse_reference(uri: str) -> Any:  # noqa: ANN401 - the library's signature
    raise NoSuchResource(uri)


_REGISTRY: Registry[Any] = Registry(retrieve=_refuse_reference)  # type: ignore[call-arg]


def _spend(steps: int) -> None:
    spent = _steps.get()
    spent[0] += steps
    if spent[0] > MAX_STEPS:
        raise Denial(Code.SCHEMA_MISMATCH, "the schema takes too much work to check")


def _spend_on(compared: Json) -> None:
    """What it costs to compare the whole of a value, or to search it."""
    _spend(len(compared if isinstance(compared, str) else repr(compared)) // CHARS_A_STEP)


def _counted(keyword: _Keyword) -> _Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        _spend(1 + (len(value) if isinstance(value, list | dict) else 0))
        yield from keyword(validator, value, instance, schema) or ()

    return check


def _comparing(keyword: _Keyword) -> _Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        _spend_on(instance)
        yield from keyword(validator, value, instance, schema) or ()

    return check


def _matches(pattern: str, text: str) -> bool:
    """Whether `pattern` occurs in `text`, in linear time; what RE2 cannot express is not held against the value."""
    _spend(1)
    _spend_on(text)
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(text) is not None


@lru_cache(maxsize=MAX_PATTERNS)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - the library has no types
    # Runs only where the pattern is not remembered, so a pattern that is used often is paid for once.
    _spend(COMPILE_STEPS)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def _pattern(_validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
    if isinstance(instance, str) and isinstance(pattern, str) and not _matches(pattern, instance):
        yield ValidationError("it does not match the pattern")


def _pattern_properties(
    validator: Any,  # noqa: ANN401
    patterns: Any,  # noqa: ANN401
    instance: Any,  # noqa: ANN401
    _schema: Any,  # noqa: ANN401
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
    """The library would join the patterns for the backtracking `re`, where one key could stop the gateway."""
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        _spend(1)
        if key in named or any(_matches(pattern, key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("it has a member that is not expected")
        else:
            yield from validator.descend(value, allowed, path=key)


def _backtracks(schema: Json) -> bool:
    """Whether the library would run a pattern of the schema with `re`: only beside `unevaluatedProperties`."""
    left, seen, names = [schema], set(), set()
    while left:
        part = left.pop()
        if not isinstance(part, dict | list) or id(part) in seen:
            continue
        seen.add(id(part))
        names |= part.keys() & _RISKY if isinstance(part, dict) else set()
        left += part.values() if isinstance(part, dict) else part
    return names == _RISKY


def _unique(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
    if not wanted or not isinstance(instance, list):
        return
    _spend(len(instance))
    _spend_on(instance)
    if len({repr(item) for item in instance}) != len(instance):
        yield ValidationError("its items are not unique")


_COMPARING = ("enum", "const")
_OURS: dict[str, _Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "uniqueItems": _unique,
}


class Schemas:
    """Validators, compiled once for each pin."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[str, str], Validator] = OrderedDict()
        self._classes: dict[type, Any] = {}

    def mismatch(self, pin: str, part: str, schema: Json, value: Json) -> str | None:
        """Where and why `value` does not fit, None if it fits. `pin` and `part` name the schema for good.

        Raises:
            Denial: the schema is no schema, refers to something outside itself, or takes too much work
                (`schema-mismatch`).
        """
        token = _steps.set([0])
        try:
            error = next(iter(self._validator(pin, part, schema).iter_errors(value)), None)
        except (
            SchemaError,
            UnknownType,
            Unresolvable,
            RecursionError,
            ArithmeticError,
            TypeError,
            AttributeError,
        ) as broken:
            raise Denial(
                Code.SCHEMA_MISMATCH, f"the schema of {part} cannot be checked ({type(broken).__name__})"
            ) from broken
        finally:
            _steps.reset(token)
        if error is None:
            return None
        where = "/".join(str(step) for step in error.absolute_path) or "the whole"
        return f"{where} does not fit {error.validator or 'pattern'!r} of the schema"[:MAX_MESSAGE]

    def _validator(self, pin: str, part: str, schema: Json) -> Validator:
        known = self._compiled.get((pin, part))
        if known is not None:
            self._compiled.move_to_end((pin, part))
            return known
        if not isinstance(schema, dict | bool):
            raise Denial(Code.SCHEMA_MISMATCH, f"the schema of {part} is no schema")
        if _backtracks(schema):
            raise Denial(Code.SCHEMA_MISMATCH, f"the schema of {part} has patterns that cannot be checked safely")
        base = validators.validator_for(schema, default=Draft202012Validator)
        made: Validator = self._class(base)(schema, registry=_REGISTRY)
        self._compiled[pin, part] = made
        if len(self._compiled) > MAX_VALIDATORS:
            self._compiled.popitem(last=False)
        return made

    def _class(self, base: Any) -> Any:  # noqa: ANN401 - the library makes classes at run time
        if base not in self._classes:
            counted = {name: _counted(keyword) for name, keyword in base.VALIDATORS.items()}
            compared = {name: _comparing(counted[name]) for name in _COMPARING if name in counted}
            self._classes[base] = validators.extend(base, {**counted, **compared, **_OURS})  # type: ignore[no-untyped-call]
        return self._classes[base]
