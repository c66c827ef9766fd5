"""Which process is at the other end of a connection, as the operating system reports it: evidence, never a wall."""

from dataclasses import dataclass

from ztmcp_desktop.domain.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs: the file, which the kernel vouches for, and of an interpreter what it was told to run.

    `sha256` is hex, of the file that is running, whatever stands at `path` by now. `script` is empty where `path` is no
    interpreter. It is a path with `script_sha256` of what stands there now, or `-m NAME`, or `-c` with the hash of
    the code; or says that it cannot be told. It comes from the arguments, which a process can alter.
    """

    path: str
    sha256: str
    script: str = ""
    script_sha256: str = ""

    @property
    def place(self) -> str:
        """The program without its content: what stays the same when it is updated."""
        return f"{self.path} {self.script}".strip()

    def as_json(self) -> JsonObject:
        """For our own records."""
        return {"path": self.path, "sha256": self.sha256, "script": self.script, "script_sha256": self.script_sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """The process that holds the other end. `parents` are those that started it, the nearest first, of one owner.

    `via` names what stands between the two, where something of ours does. `arguments` are the process's own words.
    """

    pid: int
    owner: str
    program: Program
    arguments: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    via: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It could not be found out; `why` ends the sentence `The system does not say which program asked: …`."""

    why: str


Caller = Attested | Unknown
NOT_ASKED = Unknown(why="nobody looked")


def caller_json(caller: Caller) -> JsonObject:
    """The caller for the ledger, without its arguments, which may hold anything."""
    match caller:
        case Attested(pid=pid, owner=owner, program=program, parents=parents, via=via):
            told: JsonObject = {"pid": pid, "owner": owner, "program": program.path, "sha256": program.sha256}
            if program.script:
                told |= {"script": program.script, "script_sha256": program.script_sha256}
            if via:
                told["via"] = via
            return {**told, "started_by": list(parents)}
        case Unknown(why=why):
            return {"unknown": why}
