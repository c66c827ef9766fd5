"""What the dialog says of a question, in our own words; what others said is marked as theirs."""

from collections.abc import Iterable
from dataclasses import replace

from ztmcp_desktop.domain.caller import Attested, Unknown
from ztmcp_desktop.domain.consent import Proposal, Question, Scope
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.proof import Kinds
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.argument_rows import Kind, Row, as_rows
from ztmcp_desktop.ui.sentence import MAX_SHOWN, Span, cut

MAX_CALLER = 110
MAX_NOTE = 400
MAX_CALLER_NOTE = 4000
MAX_CLAIMED = 60
SHOWN_HASH = 12
_VERBS = {
    "tools/call": "to run",
    "resources/read": "to read",
    "resources/subscribe": "to follow changes of",
    "resources/unsubscribe": "to stop following",
    "prompts/get": "for its prompt",
    "completion/complete": "to complete",
}
_KINDS = {
    "EMAIL": ("e-mail address", "e-mail addresses"),
    "PHONE": ("telephone number", "telephone numbers"),
    "CARD": ("payment card number", "payment card numbers"),
    "IBAN": ("IBAN", "IBANs"),
    "NATIONAL_ID": ("national number", "national numbers"),
    "KEY": ("key or token", "keys or tokens"),
    "TOKEN": ("key or token", "keys or tokens"),
    "SECRET": ("key or token", "keys or tokens"),
    "PRIVATE_KEY": ("private key", "private keys"),
    "JWT": ("signed web token (JWT)", "signed web tokens (JWT)"),
    "AZURE_SAS": ("Azure access signature", "Azure access signatures"),
    "BEARER_TOKEN": ("bearer token", "bearer tokens"),
    "BASIC_AUTH": ("name with a password", "names with passwords"),
    "URL_PASSWORD": ("password in an address", "passwords in addresses"),
}
_SERVICES = {
    "": "",
    "AWS": "AWS",
    "GITHUB": "GitHub",
    "GITLAB": "GitLab",
    "OPENAI": "OpenAI",
    "NPM": "npm",
    "PYPI": "PyPI",
    "HUGGINGFACE": "Hugging Face",
    "SENDGRID": "SendGrid",
    "DIGITALOCEAN": "DigitalOcean",
    "XAI": "xAI",
    "RUBYGEMS": "RubyGems",
    "NEWRELIC": "New Relic",
    "ZTMCP": "ztmcp",
}
SCOPES = {
    Scope.ONCE: "This once",
    Scope.EXACT_SESSION: "This exact call, for this session",
}


def heading(question: Question | Proposal) -> tuple[Span, ...]:
    """Who, where, what."""
    if isinstance(question, Proposal):
        return (Span(text=cut(question.title, 160), strong=True),)
    verb = _VERBS.get(question.method, "to do")
    return (
        Span(text=cut(question.client), strong=True),
        Span(text=" wants "),
        Span(text=cut(question.server), strong=True),
        Span(text=f" {verb} "),
        Span(text=cut(question.subject), strong=True),
    )


def caller(question: Question) -> str:
    """The caller as the system reports it, beside what it calls itself; neither decides anything."""
    match question.caller:
        case Unknown(why=why):
            said = f"The system does not say which program asked: {why}."
        case Attested(pid=pid) as found:
            line = _command_line(found)
            whole = "; in full below" if len(visible(line)) > MAX_CALLER else ""
            said = f"asked by {cut(line, MAX_CALLER)} (pid {pid}), so the system says{whole}"
    if question.claimed:
        said += f" · calls itself “{cut(question.claimed, MAX_CLAIMED)}”, which anybody can"
    return said


def _command_line(found: Attested) -> str:
    return f"{found.program.path} {' '.join(found.arguments[1:])}".strip()


def _caller_notes(question: Question) -> list[tuple[str, str]]:
    """What more the system reports of the program: the whole command where it was cut, the file, what started it."""
    found = question.caller
    if not isinstance(found, Attested):
        return []
    said = []
    if len(visible(_command_line(found))) > MAX_CALLER:
        said.append(("Asked by", cut(_command_line(found), MAX_CALLER_NOTE)))
    program = found.program
    facts = [f"file {program.sha256[:SHOWN_HASH]}…"]
    if program.script:
        shown_hash = f" {program.script_sha256[:SHOWN_HASH]}…" if program.script_sha256 else ""
        facts.append(f"runs {program.script}{shown_hash}")
    facts.append(f"user {found.owner}")
    if found.via:
        facts.append(f"through {found.via}")
    said.append(("Program", cut(_joined(facts), MAX_CALLER_NOTE)))
    if found.parents:
        said.append(("Started by", cut(" ← ".join(found.parents), MAX_CALLER_NOTE)))
    return said


def kinds_sentence(kinds: Kinds) -> str:
    """Kinds with their counts: `2 e-mail addresses, 1 IBAN`."""
    said = []
    for kind, count in kinds:
        one, many = _kind_words(kind)
        said.append(f"{count} {one if count == 1 else many}")
    return ", ".join(said)


def _kind_words(kind: str) -> tuple[str, str]:
    """One and many of a kind: `GitHub token`, `GitHub tokens`."""
    if kind in _KINDS:
        return _KINDS[kind]
    service, _, what = kind.rpartition("_")
    name = _SERVICES.get(service, service.replace("_", " ").capitalize())
    one = f"{name} {what.lower()}".strip()
    return one, f"{one}s"


def _joined(texts: Iterable[str]) -> str:
    return " · ".join(visible(text).replace("\n", "⟦U+000A⟧") for text in texts)


def notes(question: Question | Proposal) -> tuple[tuple[str, str], ...]:
    """(label, sentence) pairs below the arguments, most important first."""
    if isinstance(question, Proposal):
        return tuple(("Take care", cut(warning, MAX_NOTE)) for warning in question.warnings)
    said: list[tuple[str, str]] = [("Take care", cut(warning, MAX_NOTE)) for warning in question.warnings]
    if question.sensitive:
        said.append(("Will leave", kinds_sentence(question.sensitive)))
    secrets = []
    if question.starts_with:
        secrets.append(f"starts with {', '.join(question.starts_with)}")
    if question.holds:
        secrets.append(f"holds {', '.join(question.holds)}")
    if question.placeholders:
        secrets.append(f"{', '.join(question.placeholders)} put in where {{{{secret:…}}}} stands")
    if secrets:
        said.append(("Secrets", _joined(secrets)))
    if question.signs:
        said.append(("Signs", _joined(question.signs)))
    if question.because:
        said.append(("Asked because", _joined(question.because)))
    said += _caller_notes(question)
    return tuple(said)


def _call_rows(question: Question) -> tuple[Row, ...]:
    """The arguments by their own paths; what else is sent stands below, under a label that no key can imitate."""
    if question.method not in {"tools/call", "prompts/get"}:
        return as_rows(question.params)
    rest = {key: value for key, value in question.params.items() if key not in {"name", "arguments"}}
    beside = tuple(replace(row, path=f"(beside) {row.path}") for row in as_rows(rest)) if rest else ()
    given = question.params.get("arguments")
    if not given:
        return (Row(path="", value="(no arguments)", kind=Kind.LITERAL), *beside)
    return (*as_rows(given), *beside)


def argument_rows(question: Question | Proposal) -> tuple[Row, ...]:
    """All that will be sent, as rows. A name that the heading had to cut stands here in full.

    Raises:
        OverflowError: more values than can be shown.
    """
    if isinstance(question, Proposal):
        facts = tuple(Row(path=visible(label), value=visible(value)) for label, value in question.facts)
        return (Row(path="", value=visible(question.sentence)), *facts)
    rows = _call_rows(question)
    if len(visible(question.subject)) > MAX_SHOWN:
        rows = (Row(path="(whole name)", value=visible(question.subject)), *rows)
    return rows


def claim_rows(question: Question | Proposal) -> tuple[Row, ...]:
    """The server's own words; of a tool, its description first."""
    if isinstance(question, Proposal):
        return tuple(
            Row(path=name, value=visible(value)) if value else Row(path=name, value="(nothing)", kind=Kind.LITERAL)
            for name, value in ((visible(name).replace("\n", "⟦U+000A⟧"), value) for name, value in question.claims)
        )
    claims: JsonObject = question.claims
    order = ("title", "description")
    sorted_claims = {key: claims[key] for key in order if key in claims} | claims
    return as_rows(sorted_claims) if sorted_claims else ()


def waiting(count: int) -> str:
    """How many questions stand behind this one."""
    return "" if count <= 0 else f"{count} more waiting"


def hidden_text(lines: int, characters: int) -> str:
    """How much of the arguments nobody has seen yet; empty when all was shown."""
    if lines <= 0:
        return ""
    return f"{lines:,} {'line' if lines == 1 else 'lines'} hidden ({characters:,} characters)"
