"""Signs of commands in arguments."""

import re2

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.scan.words import Leaf

MAX_COMMAND_CHARS = 16_384

_COMMAND_WORDS = frozenset({"command", "cmd", "commands", "shell", "script", "bash", "exec", "code", "args", "argv"})
_RUNNING_TOOLS = frozenset({"shell", "bash", "exec", "execute", "run", "terminal", "command", "cmd", "eval", "script"})
_DESTRUCTIVE = re2.compile(
    r"(?i)(?:^|[\s;&|`$(/\\\"'])(?:"
    r"rm\s+(?:-\S+\s+)*-\S*[rf]|rmdir\s|del\s+/|format\s+[a-z]:|mkfs|dd\s[^|;]*\bof=|shred\s|wipefs|truncate\s+-s"
    r"|shutdown\b|reboot\b|poweroff\b|halt\b|kill(?:all)?\s|pkill\s|chmod\s+(?:-\S+\s+)*[0-7]*777|chown\s+-R"
    r"|git\s+(?:push\s[^;|&]*(?:--force|-f\b)|reset\s+--hard|clean\s+-)|find\s[^;|&]*-delete"
    r"|remove-item\s|invoke-expression\b|drop\s+(?:table|database)\b)"
)
_REMOTE = re2.compile(
    r"(?i)(?:curl|wget|fetch|iwr|invoke-webrequest)\b[^\n]*\|\s*(?:sudo\s+)?(?:\S*/)?(?:ba|z|da|k)?sh\b"
    r"|(?:curl|wget)\b[^\n]*\|\s*(?:\S*/)?(?:python3?|perl|ruby|node)\b"
    r"|(?:ba|z|da)?sh\s+-c\s+[\"']?\$\((?:curl|wget)"
)
_ESCALATES = re2.compile(r"(?i)(?:^|[\s;&|`(])(?:sudo|doas|su\s+-)\s")
_INJECTED = re2.compile(
    r"\$\([^)]+\)|`[^`]+`|[;&|]\s*(?:rm|curl|wget|nc|bash|sh|python3?|perl|powershell|cat)\s|>\s*/dev/(?:sd|nvme|tcp)"
)


def command_signs(leaf: Leaf, tool_words: tuple[str, ...]) -> list[tuple[Risk, str]]:
    """What a string says of commands, as risks and sentences. Prose is looked at only in tools that run it."""
    text = leaf.value[:MAX_COMMAND_CHARS]
    runs = not _COMMAND_WORDS.isdisjoint(leaf.words) or not _RUNNING_TOOLS.isdisjoint(tool_words)
    if leaf.prose and not runs:
        return []
    found = []
    if _DESTRUCTIVE.search(text):
        found.append((Risk.DESTROY, "The arguments hold a command that deletes, overwrites or stops things."))
    if _REMOTE.search(text):
        found.append((Risk.DESTROY, "The arguments hold a command that downloads a program and runs it."))
    if runs and _ESCALATES.search(text):
        found.append((Risk.DESTROY, "The command asks for the administrator's rights."))
    if runs and not found and leaf.words and not _COMMAND_WORDS.isdisjoint(leaf.words):
        found.append((Risk.UNKNOWN, "The arguments hold a command or program."))
    if not runs and not found and _INJECTED.search(text):
        found.append((Risk.UNKNOWN, "An argument that should be no command holds what a shell would run."))
    return found
