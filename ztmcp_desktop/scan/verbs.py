"""What the words of a tool's name say about what it does."""

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.scan.words import word_set

SQL_WORDS = frozenset({"sql", "query", "queries", "database", "db", "sqlite", "postgres", "mysql"})

_READS = word_set(
    "get list read search find fetch show view describe lookup look query count check status info stat stats head "
    "tail peek inspect explain summarize summary browse download retrieve select scan tree log diff blame compare "
    "validate verify version help ping echo convert calculate compute sum translate analyze preview history "
    "current exists whoami resolve parse format"
)
_WRITES = word_set(
    "write create update insert send put post edit set save upload append modify change rename move copy patch "
    "replace add make mkdir touch apply upsert merge commit push publish reply invite assign label close reopen "
    "start stop enable disable toggle configure install register submit schedule book subscribe unsubscribe mark "
    "import sync attach forward share grant approve checkout stage stash rebase cherry tag fork comment message "
    "notify email mail tweet upgrade restore archive unarchive lock unlock pin unpin follow unfollow trigger"
)
_DESTROYS = word_set(
    "delete drop remove rm kill purge destroy erase wipe truncate clear reset terminate uninstall revoke overwrite "
    "transfer pay purchase buy sell order withdraw charge refund shutdown reboot unlink empty cancel "
    "ban block disconnect deprovision nuke shred clean prune"
)
_RUNS = word_set("run execute exec eval shell bash sh cmd command terminal script spawn system powershell invoke")
# These are things as often as deeds: after a word that reads they are the thing that is read.
_AMBIGUOUS = word_set(
    "post put set change copy patch move merge commit push label"
    " start stop book import mark attach share grant stage "
    "stash tag fork comment message email mail tweet lock pin order transfer charge refund block command script "
    "shell system terminal run log make reply schedule edit archive subscribe upgrade trigger clean empty clear reset"
)


def risk_of_name(words: tuple[str, ...]) -> tuple[Risk, str]:
    """What a name's words say, and the word that says it; `UNKNOWN` with no word where none does.

    The most dangerous word counts, wherever it stands. A word outside ASCII may imitate any other: `UNKNOWN`.
    """
    reading = bool(words) and words[0] in _READS
    counted = [word for index, word in enumerate(words) if not (reading and index and word in _AMBIGUOUS)]
    for risk, known in ((Risk.DESTROY, _DESTROYS), (Risk.UNKNOWN, _RUNS), (Risk.WRITE, _WRITES)):
        if (found := next((word for word in counted if word in known), None)) is not None:
            return risk, found
    if any(not word.isascii() for word in words):
        return Risk.UNKNOWN, ""
    found = next((word for word in counted if word in _READS), None)
    return (Risk.READ, found) if found else (Risk.UNKNOWN, "")
