"""Cedar: rule texts in, rulings out."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy

from ztmcp_desktop.domain.names import RuleId
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.policy import PolicyRequest
from ztmcp_desktop.policy.places import line_of_mistake

MAX_SETS = 256
MAX_PLACED = 3
_SERVER_KINDS = {"Tool", "Resource", "Prompt", "Server"}
_RESOURCE_TYPES = {
    ItemKind.TOOL: "Tool",
    ItemKind.RESOURCE: "Resource",
    ItemKind.TEMPLATE: "Resource",
    ItemKind.PROMPT: "Prompt",
}
_ERRING = re.compile(r"error while evaluating policy `([^`]*)`")
_POLICY = re.compile(r"^for policy `policy\d+`, ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a rule, and in which line (from 1)."""

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer to one question. `rules` made it; `errors` are sentences, and with any of them it is a no."""

    action: str
    allowed: bool
    rules: tuple[RuleId, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    id: str
    client: str | None
    server: str | None
    body: Mapping[str, Any]


def _statements(text: str) -> list[tuple[int, str]]:
    """The policies of a text with the line each begins in, space before it included; strings and comments hide `;`."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|//[^\n]*|;', text, re.DOTALL):
        if match.group() == ";":
            found.append((start, text[start : match.end()]))
            start = match.end()
    if re.sub(r"//[^\n]*", "", text[start:]).strip():
        found.append((start, text[start:]))
    return [(text.count("\n", 0, offset) + 1, statement) for offset, statement in found]


def _constraint(policy: Mapping[str, Any], variable: str) -> tuple[str, str] | None:
    scope = policy.get(variable, {})
    entity = scope.get("entity") or scope.get("in", {}).get("entity")
    if scope.get("op") in {"==", "in"} and isinstance(entity, dict):
        return str(entity.get("type")), str(entity.get("id"))
    return None


def _indexed(policy_id: str, body: Mapping[str, Any]) -> _Policy:
    principal, resource = _constraint(body, "principal"), _constraint(body, "resource")
    server = resource[1].split("/", 1)[0] if resource and resource[0] in _SERVER_KINDS else None
    client = principal[1] if principal and principal[0] == "Client" else None
    return _Policy(id=policy_id, client=client, server=server, body=body)


def _request(request: PolicyRequest, action: str, resource: Mapping[str, str]) -> dict[str, Any]:
    now = request.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{request.now.microsecond // 1000:03d}Z"
    return {
        "principal": {"type": "Client", "id": request.client},
        "action": {"type": "Action", "id": action},
        "resource": resource,
        "context": {
            "risk": request.risk.value,
            "paths": list(request.paths),
            "hosts": list(request.hosts),
            "tables": list(request.tables),
            "sensitive": list(request.sensitive),
            "signs": list(request.signs),
            "session": list(request.session),
            "now": {"__extn": {"fn": "datetime", "arg": now}},
        },
    }


class Engine:
    """A fixed collection of rules, parsed once. For each client and server only the rules that may match are asked."""

    def __init__(self, texts: Mapping[str, str], schema: str) -> None:
        """`texts` maps a rule's id to its Cedar text.

        Raises:
            ValueError: a text does not parse.
        """
        self._schema = cedarpy.Schema.from_str(schema)
        self._policies: list[_Policy] = []
        for rule, text in texts.items():
            parsed = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
            self._policies += [_indexed(f"{rule}#{name}", body) for name, body in parsed.items()]
        self.uses_now = any('"now"' in json.dumps(policy.body) for policy in self._policies)
        self._sets: OrderedDict[tuple[str, str], cedarpy.PolicySet] = OrderedDict()

    def ask(self, request: PolicyRequest, actions: tuple[str, ...]) -> tuple[Ruling, ...]:
        """One ruling for each of `actions`, all else of `request` the same. Whatever Cedar cannot answer is a no."""
        server = {"type": "Server", "id": request.server}
        resource = server
        entities: list[dict[str, Any]] = [{"uid": server, "attrs": {}, "parents": []}]
        if request.kind is not None:
            resource = {"type": _RESOURCE_TYPES[request.kind], "id": f"{request.server}/{request.subject}"}
            entities.append({"uid": resource, "attrs": {}, "parents": [server]})
        asked = [_request(request, action, resource) for action in actions]
        try:
            results = cedarpy.is_authorized_batch(
                asked, self._set_for(request.client, request.server), entities, self._schema
            )
        except ValueError as error:
            return tuple(Ruling(action=action, allowed=False, rules=(), errors=(str(error),)) for action in actions)
        return tuple(_ruling(action, result) for action, result in zip(actions, results, strict=True))

    def _set_for(self, client: str, server: str) -> cedarpy.PolicySet:
        key = (client, server)
        if key in self._sets:
            self._sets.move_to_end(key)
            return self._sets[key]
        chosen = {p.id: p.body for p in self._policies if p.client in {None, client} and p.server in {None, server}}
        document = {"templates": {}, "staticPolicies": chosen, "templateLinks": []}
        self._sets[key] = made = cedarpy.PolicySet.from_json_str(json.dumps(document))
        if len(self._sets) > MAX_SETS:
            self._sets.popitem(last=False)
        return made


def _ruling(action: str, result: cedarpy.AuthzResult) -> Ruling:
    errors = tuple(result.diagnostics.errors)
    deciding = _ERRING.findall(" ".join(errors)) if errors else result.diagnostics.reasons
    rules = tuple(sorted({RuleId(name.partition("#")[0]) for name in deciding}))
    return Ruling(action=action, allowed=result.allowed and not errors, rules=rules, errors=errors)


def problems(file: str, text: str, schema: str) -> tuple[Problem, ...]:
    """What keeps `text` from being a rule: it does not parse, breaks the schema, is a template, or is empty."""

    def check(part: str) -> tuple[str, ...]:
        errors = cedarpy.validate_policies(part, schema).errors
        return tuple(dict.fromkeys(_POLICY.sub("", error.error) for error in errors))

    statements = _statements(text)
    if not statements:
        return (Problem(file=file, line=1, message="there is no rule in this file"),)
    found = []
    for line, statement in statements:
        messages = check(statement)
        if not messages and cedarpy.PolicySet.from_str(statement).templates():
            messages = ("a template (with ?principal or ?resource) permits nothing by itself",)
        for message in messages[:MAX_PLACED]:
            place = line + line_of_mistake(statement, message, check) - 1
            found.append(Problem(file=file, line=place, message=message.replace("`", "'")))
    if not found and not cedarpy.validate_policies(text, schema).validation_passed:
        found.append(Problem(file=file, line=1, message="this file as a whole is not a set of rules"))
    return tuple(found)
