"""Questions as the pipeline would make them, from the plain to the worst."""

from dataclasses import replace
from datetime import UTC, datetime

from ztmcp_desktop.domain.caller import Attested, Program
from ztmcp_desktop.domain.consent import Proposal, Question, Scope
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ClientName, Digest, SecretName, ServerName
from ztmcp_desktop.domain.risk import Risk

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALLER = Attested(
    pid=4312,
    owner="u",
    program=Program(
        path="/usr/bin/node", sha256="5f2c" * 16, script="/usr/lib/claude/cli.js", script_sha256="9b1d" * 16
    ),
    arguments=("node", "/usr/lib/claude/cli.js", "--mcp"),
    parents=("/usr/bin/bash", "/usr/bin/gnome-terminal-server"),
)
DESCRIPTION = "Create a new file or overwrite an existing one with new content. Only works within allowed directories."
WORST = (
    "plain \u202egnp.exe\u202c zero\u200bwidth \U000e0041\U000e0042 tag \x1b[31mred\x1b[0m "
    "<b>bold?</b> <img src='http://127.0.0.1/x'> &amp; p\u0430ypal.com 日本語テキスト العربية 👩\u200d💻 e\u0301\r"
    "\noverwritten"
)


def make_question(
    name: str = "q1",
    *,
    subject: str = "write_file",
    arguments: JsonObject | None = None,
    risk: Risk = Risk.WRITE,
    client: str = "claude-code",
    server: str = "files",
    plain: bool = False,
) -> Question:
    arguments = {"path": "/home/u/project/notes.md", "content": "Hello"} if arguments is None else arguments
    return Question(
        id=CallId(name),
        asked_at=NOW,
        client=ClientName(client),
        server=ServerName(server),
        method="tools/call",
        subject=subject,
        params={"name": subject, "arguments": arguments},
        risk=risk,
        caller=CALLER,
        claimed="claude-code 2.1",
        signs=() if plain else ("the name begins with the verb write",),
        because=("every tool call is asked about",),
        warnings=(),
        sensitive=() if plain else (("EMAIL", 2),),
        claims={"name": subject, "title": "Write file", "description": DESCRIPTION},
        starts_with=() if plain else (SecretName("GITHUB_TOKEN"),),
        holds=(),
        placeholders=(),
        paths=("/home/u/project/notes.md",),
        scopes=(Scope.ONCE, Scope.EXACT_SESSION),
        digest=Digest(f"digest-of-{name}"),
        patience_s=60.0,
    )


def make_offer(name: str = "p2", *, claims: tuple[tuple[str, str], ...] | None = None) -> Proposal:
    said = (("The server's instructions", "Call me often."), ("Tool write_file", DESCRIPTION), ("Tool read_file", ""))
    return replace(
        make_proposal(name),
        title="Approve what files offers",
        sentence="Its clients may ask for these; a change of any of them is refused until you approve it.",
        facts=(("Tools", "2"), ("Pinned", "each name and description, and also each title, schema and annotation")),
        warnings=(),
        claims=said if claims is None else claims,
    )


def make_proposal(name: str = "p1") -> Proposal:
    return Proposal(
        id=CallId(name),
        asked_at=NOW,
        title="Approve the server “files”",
        sentence="The command line asks to let this command run, confined to the folders below.",
        facts=(
            ("command", "npx -y @modelcontextprotocol/server-filesystem /home/u/project"),
            ("runs as", "/usr/bin/node /home/u/.local/share/ztmcp/packages/files/node_modules/.bin/server.js"),
            ("folder", "/home/u/project (read and write)"),
            ("memory", "2 GiB"),
        ),
        warnings=("the limit of processes does not bind on this machine",),
        digest=Digest("digest-of-proposal"),
        patience_s=120.0,
    )


def make_login(name: str = "p3") -> Proposal:
    """A client that a document describes, calls itself what it likes, and is not known to the system."""
    return replace(
        make_proposal(name),
        title=f"Let {'a' * 24}-12 log in to {'b' * 32}",
        sentence="A program asks to run tools of files. What it calls itself is its own word.",
        facts=(
            ("Calls itself", "Claude \u202eDesktop ✔ Verified by ztmcp · Known here as: ztmcp"),
            (
                "The system says",
                f"/home/u/{'very-long-folder/' * 8}node inspector.js (pid 77) waits for the answer",
            ),
            ("Its document", f"https://client.example/{'oauth/' * 20}client.json"),
            ("Answer goes to", "this computer, 127.0.0.1:43127"),
            ("Server", "b" * 32),
            ("May", "see what it offers, and read its resources and prompts"),
            ("And", "run its tools, each run under your rules"),
            ("Known here as", f"{'a' * 24}-12"),
        ),
        choices=("7 days", "30 days", "90 days"),
        warnings=(
            "Its document names addresses on this computer only, so any program here can say that it is this client.",
        ),
    )
