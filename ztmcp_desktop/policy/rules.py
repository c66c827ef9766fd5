"""The rules that decide: the shipped ones and the person's, sealed against edits behind our back."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import RuleId
from ztmcp_desktop.domain.policy import Decision, PolicyRequest
from ztmcp_desktop.domain.risk import Action
from ztmcp_desktop.policy.cedar import Engine, Problem, Ruling, problems
from ztmcp_desktop.policy.files import (
    MAX_BYTES,
    MAX_FILES,
    SUFFIX,
    fingerprint,
    is_rule_id,
    read_folder,
    seal_of,
    write_rule,
)
from ztmcp_desktop.ports import StateStore

SHIPPED = RuleId("default")
RECORD = "rules"
MAX_REMEMBERED = 4096
# To look takes as long as all the rest of a remembered decision; nobody edits a file and calls within this.
LOOK_EVERY_S = 0.02
_TIMELESS = attrgetter(*(field.name for field in fields(PolicyRequest) if field.name != "now"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One file of rules; `id` is the file's stem."""

    id: RuleId
    text: str
    shipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision with both rulings behind it; `unasked` is None where there is no second question."""

    decision: Decision
    permitted: Ruling
    unasked: Ruling | None


class Rules:
    """The PolicyBook over Cedar (contract, Rules). Files that differ from their seal stop every decision.

    A changed folder is noticed within `LOOK_EVERY_S`. `adopt` makes what lies on disk the rules; it is for a start
    without a screen, and for after the person has agreed.
    """

    def __init__(self, folder: Path, shipped: str, state: StateStore, schema: str) -> None:
        """`shipped` is the Cedar text that comes with the program, `schema` what all rules are checked against.

        Raises:
            ValueError: the shipped texts themselves are broken.
        """
        self._folder, self._state = folder, state
        self._shipped, self._schema = shipped, schema
        if found := problems(f"{SHIPPED}{SUFFIX}", shipped, schema):
            raise ValueError(f"the shipped rules are broken: {found[0].message}")
        self._listeners: list[Callable[[], None]] = []
        self._look_at = 0.0
        self._load()

    def _load(self) -> None:
        self._remembered: OrderedDict[tuple[object, ...], Explanation] = OrderedDict()
        self._engine: Engine | None = None
        self._drift: tuple[str, ...] = ()
        self._denial: Denial | None = None
        self._texts: dict[str, str] = {}
        # Taken first: what changes while we read is then seen as changed at the next decision.
        self._seen = fingerprint(self._folder)
        reading = read_folder(self._folder)
        self._texts = dict(reading.texts)
        try:
            seals = self._seals()
        except Denial as denial:
            self._denial = Denial(Code.REFUSED_BY_RULE, f"the rules cannot be trusted: {denial.reason}")
            return
        actual = {rule: seal_of(text) for rule, text in reading.texts.items()}
        differing = {rule for rule in actual.keys() | seals.keys() if actual.get(rule) != seals.get(rule)}
        self._drift = tuple(sorted({f"{rule}{SUFFIX}" for rule in differing} | set(reading.unreadable)))
        if self._drift:
            self._denial = Denial(
                Code.REFUSED_BY_RULE,
                f"the rules were changed outside the gateway ({', '.join(self._drift[:5])}); "
                "look at them, then reload the rules to accept the change, or put the files back",
            )
            return
        broken = self._problems(self._texts)
        if broken:
            self._denial = _broken(broken[0])
            return
        self._engine = Engine({SHIPPED: self._shipped, **self._texts}, self._schema)

    def _seals(self) -> dict[str, str]:
        files = (self._state.load(RECORD) or {}).get("files", {})
        if not isinstance(files, dict) or not all(isinstance(seal, str) for seal in files.values()):
            raise Denial(Code.GATEWAY_FAULT, "the record of the rules is damaged")
        return dict(files)

    def _problems(self, texts: dict[str, str]) -> tuple[Problem, ...]:
        return tuple(p for rule, text in texts.items() for p in self.check(text, f"{rule}{SUFFIX}"))

    def decide(self, request: PolicyRequest) -> Decision:
        return self.explain(request).decision

    def explain(self, request: PolicyRequest) -> Explanation:
        """The decision, and how it came about. Raises as `decide`."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            self.drift()
        if self._denial is not None or self._engine is None:
            refusal = self._denial or Denial(Code.REFUSED_BY_RULE, "the rules are not loaded")
            raise Denial(refusal.code, refusal.reason, refusal.retry)
        key = (*_TIMELESS(request), request.now if self._engine.uses_now else None)
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        self._remembered[key] = made = _explained(self._engine, request)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return made

    def all(self) -> tuple[Rule, ...]:
        """The shipped rules first, then the person's as they lie on disk, by id."""
        own = tuple(Rule(id=RuleId(rule), text=text) for rule, text in sorted(self._texts.items()))
        return (Rule(id=SHIPPED, text=self._shipped, shipped=True), *own)

    def check(self, untrusted_text: str, filename: str) -> tuple[Problem, ...]:
        """What is wrong with a text, empty if nothing: syntax, and names and types that the schema does not know."""
        if len(untrusted_text.encode(errors="replace")) > MAX_BYTES:
            return (Problem(file=filename, line=1, message=f"it is longer than {MAX_BYTES} bytes"),)
        try:
            return problems(filename, untrusted_text, self._schema)
        except ValueError as error:
            return (Problem(file=filename, line=1, message=str(error)),)

    def add(self, rule_id: str, untrusted_text: str) -> RuleId:
        """Write, seal and use a new rule.

        Raises:
            Denial: the id is taken or no id, there is no room, or the text is wrong (`not-permitted`, with file and
                line); nothing has changed then.
        """
        self.reload()
        if not is_rule_id(rule_id):
            raise Denial(Code.NOT_PERMITTED, "a rule's name is 1 to 64 letters, digits, '_', '.' and '-'")
        if rule_id == SHIPPED or rule_id in self._texts or (self._folder / f"{rule_id}{SUFFIX}").is_symlink():
            raise Denial(Code.NOT_PERMITTED, f"there is a rule {rule_id} already; remove it first or take another name")
        if len(self._texts) >= MAX_FILES:
            raise Denial(Code.NOT_PERMITTED, f"there are {MAX_FILES} rules already; remove one first")
        if found := self.check(untrusted_text, f"{rule_id}{SUFFIX}"):
            raise Denial(Code.NOT_PERMITTED, f"{found[0].file}:{found[0].line}: {found[0].message}")
        # A crash between the two leaves a file without a seal, which refuses until somebody has looked at it.
        seals = self._seals()
        write_rule(self._folder, rule_id, untrusted_text)
        try:
            self._state.save(RECORD, {"files": {**seals, rule_id: seal_of(untrusted_text)}})
        except (Denial, OSError):
            (self._folder / f"{rule_id}{SUFFIX}").unlink(missing_ok=True)
            raise
        self.reload()
        return RuleId(rule_id)

    def remove(self, rule_id: str) -> bool:
        """Delete the rule's file and its seal; False if there was none. The shipped rules stay.

        Raises:
            Denial: the file could not be deleted, or the record cannot be trusted (`gateway-fault`).
        """
        if not is_rule_id(rule_id):
            return False
        seals, target = self._seals(), self._folder / f"{rule_id}{SUFFIX}"
        known = rule_id in seals or target.exists()
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            raise Denial(Code.GATEWAY_FAULT, f"the rule could not be deleted ({error.strerror})") from error
        self._state.save(RECORD, {"files": {rule: seal for rule, seal in seals.items() if rule != rule_id}})
        self.reload()
        return known

    def reload(self) -> None:
        """Read the folder again. What differs from its seal then stops every decision until `adopt`."""
        self._load()
        for listener in tuple(self._listeners):
            listener()

    def drift(self) -> tuple[str, ...]:
        """The names of the files that were changed, added or removed by somebody else."""
        if fingerprint(self._folder) != self._seen:
            self.reload()
        return self._drift

    def why_nothing(self) -> str:
        """Why the rules allow nothing at all, empty where they work."""
        drift = self.drift()
        if drift and (found := self._problems(self._texts)):
            return _broken(found[0]).reason
        return self._denial.reason if self._denial is not None else ""

    def adopt(self) -> tuple[str, ...]:
        """Seal what lies on disk and use it; gives the names of the files that this changed.

        Raises:
            Denial: a file is no rule (`not-permitted`, with file and line) or cannot be read; nothing is sealed then.
        """
        reading = read_folder(self._folder)
        for name, why in reading.unreadable.items():
            raise Denial(Code.NOT_PERMITTED, f"the rule file {name} cannot be used: {why}")
        if SHIPPED in reading.texts:
            raise Denial(Code.NOT_PERMITTED, f"the name {SHIPPED}{SUFFIX} is that of the shipped rules")
        if found := self._problems(dict(reading.texts)):
            raise Denial(Code.NOT_PERMITTED, _broken(found[0]).reason)
        before = self.drift()
        self._state.save(RECORD, {"files": {rule: seal_of(text) for rule, text in reading.texts.items()}})
        self.reload()
        return before

    def on_reload(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the rules were read again, so that `drift` can be put to the person."""
        self._listeners.append(listener)


def _broken(problem: Problem) -> Denial:
    return Denial(
        Code.REFUSED_BY_RULE,
        f"a rule is broken, so nothing is allowed: {problem.file}:{problem.line}: {problem.message}; "
        "mend or remove the file",
    )


def _explained(engine: Engine, request: PolicyRequest) -> Explanation:
    second = request.action.without_asking()
    actions = (request.action.value,) if second is None else (request.action.value, second)
    rulings = engine.ask(request, actions)
    first, other = rulings[0], rulings[1] if second is not None else None
    # Where there is no second question, a permit is enough for lists and for what a server asks the person; a server
    # that asks for the client's model is asked about all the same (decision 022).
    permit_is_enough = request.action in {Action.LIST, Action.ASK_PERSON}
    unasked = first.allowed and (other.allowed if other is not None else permit_is_enough)
    forbidden = not first.allowed and bool(first.rules or first.errors)
    decision = Decision(
        permitted=first.allowed or (request.action is Action.ASK_PERSON and not forbidden),
        unasked=unasked,
        forbidden=forbidden,
        rules=other.rules if unasked and other is not None else first.rules,
        asked_by=other.rules if other is not None and first.allowed and not other.allowed else (),
    )
    return Explanation(decision=decision, permitted=first, unasked=other)
