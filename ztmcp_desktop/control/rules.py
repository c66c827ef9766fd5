"""The person's rules: listed, checked, explained, added and removed."""

from ztmcp_desktop.control.explaining import explain
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.policy.rules import SHIPPED

Problems = list[JsonObject]


class RuleVerbs:
    """The verbs `rule.…`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts

    def verbs(self) -> Verbs:
        return {
            "rule.list": Verb(do=self.list),
            "rule.check": Verb(do=self.check),
            "rule.explain": Verb(do=self.explain),
            "rule.add": Verb(do=self.add, proposes=self._adding),
            "rule.remove": Verb(do=self.remove, proposes=self._removing),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {
            "rules": [
                {
                    "id": rule.id,
                    "text": rule.text,
                    "shipped": rule.shipped,
                    "problems": self._problems(rule.id, rule.text),
                }
                for rule in self._parts.rules.all()
            ],
            "changed_outside": list(self._parts.rules.drift()),
        }

    async def check(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "text", "file")
        if "text" in untrusted:
            return {"problems": self._problems(arguments.text("file", "rule"), arguments.text("text"))}
        problems = [p for rule in self._parts.rules.all() for p in self._problems(rule.id, rule.text)]
        return {"problems": problems, "changed_outside": list(self._parts.rules.drift())}

    async def explain(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "client", "server", "tool", "args")
        client, server = ClientName(arguments.name("client")), ServerName(arguments.name("server"))
        return await explain(self._parts, client, server, arguments.text("tool"), arguments.object("args"))

    async def add(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "id", "text")
        rule = self._parts.rules.add(arguments.text("id"), arguments.text("text"))
        try:
            await self._record("add", rule, {"text": arguments.text("text")})
        except Denial:
            self._parts.rules.remove(rule)
            raise
        return {"id": rule}

    async def remove(self, untrusted: JsonObject) -> JsonObject:
        rule = Arguments.of(untrusted, "id").text("id")
        text = next((known.text for known in self._parts.rules.all() if known.id == rule), "")
        if rule == SHIPPED or not self._parts.rules.remove(rule):
            raise _not_there(rule)
        try:
            await self._record("remove", rule, {})
        except Denial:
            self._parts.rules.add(rule, text)
            raise
        return {"id": rule}

    async def _adding(self, untrusted: JsonObject) -> Widening:
        arguments = Arguments.of(untrusted, "id", "text")
        rule, text = arguments.text("id"), arguments.text("text")
        if problems := self._problems(rule, text):
            raise Denial(Code.NOT_PERMITTED, "{file}:{line}: {message}".format(**problems[0]))
        return Widening(title=f"Add the rule {rule}", sentence="It counts from now on.", facts=((rule, text),))

    async def _removing(self, untrusted: JsonObject) -> Widening:
        rule = Arguments.of(untrusted, "id").text("id")
        text = next((known.text for known in self._parts.rules.all() if known.id == rule and not known.shipped), None)
        if text is None:
            raise _not_there(rule)
        # What a rule forbade may be permitted without it.
        return Widening(title=f"Remove the rule {rule}", sentence="It no longer counts.", facts=((rule, text),))

    def _problems(self, name: str, text: str) -> Problems:
        file = name if name.endswith(".cedar") else f"{name}.cedar"
        found = self._parts.rules.check(text, file)
        return [{"file": problem.file, "line": problem.line, "message": problem.message} for problem in found]

    async def _record(self, what: str, rule: str, body: JsonObject) -> None:
        draft = Draft(kind=EntryKind.RULE, method=what, subject=rule, body=self._parts.redact(body))
        await self._parts.ledger.append(draft)


def _not_there(rule: str) -> Denial:
    if rule == SHIPPED:
        return Denial(
            Code.NOT_PERMITTED,
            "the shipped rule cannot be removed; add a rule of your own that forbids instead",
        )
    return Denial(Code.NOT_PERMITTED, f"there is no rule {rule[:64]}; see: ztmcp rule list")
