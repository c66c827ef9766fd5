"""What of the disk a confined process sees, and the arguments that make bubblewrap show just that."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access, Folder
from ztmcp_desktop.domain.sandbox import Launch
from ztmcp_desktop.scan.protected import Cover, holds_protected, protected_paths, refuse_folder

SCRATCH = "/scratch"
PACKAGES = "packages"
TEMPORARY_BYTES = 256 * 1024**2
MAX_MOUNTS = 2500
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "alternatives", "mime.types", "services"),
    *("protocols", "ca-certificates", "ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust/extracted"),
    *("magic", "locale.alias", "gitattributes", "crypto-policies"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One step of making the view: show `path` at its own place, or cover it."""

    path: Path
    access: Access
    hidden: bool = False


def plan_mounts(launch: Launch, own: tuple[Path, ...], user_home: Path) -> tuple[Mount, ...]:
    """The mounts in the order in which they are made, outer before inner. Searches the folders, so it takes time.

    Raises:
        Denial: a folder or a part of the runtime may not be shown, or is no longer there (`outside-limits`).
    """
    shown = [_checked_folder(folder, own, user_home) for folder in launch.limits.folders]
    shown += [_checked_runtime(path, own, user_home) for path in launch.runtime.mounts]
    covers: dict[Path, Mount] = {}
    for folder in launch.limits.folders:
        covers |= _covers(folder, own, user_home)
    for path in launch.runtime.mounts:
        covers.pop(path, None)
    if len(shown) + len(covers) > MAX_MOUNTS:
        raise Denial(Code.OUTSIDE_LIMITS, f"{launch.server}'s folders hold too many protected places; choose narrower")
    # Python's sort keeps the order of equals: of two mounts of one place the later, stricter one is on top.
    return tuple(sorted([*shown, *covers.values()], key=lambda mount: len(mount.path.parts)))


def _checked_folder(folder: Folder, own: tuple[Path, ...], user_home: Path) -> Mount:
    path = folder.path
    if (reason := refuse_folder(path, own, user_home)) is not None:
        raise Denial(Code.OUTSIDE_LIMITS, reason)
    if path.resolve() != path or not path.is_dir():
        raise Denial(Code.OUTSIDE_LIMITS, f"{path} is no longer the folder that was approved")
    return Mount(path=path, access=folder.access)


def _checked_runtime(path: Path, own: tuple[Path, ...], user_home: Path) -> Mount:
    # What approval installed lies in our data folder, and is the one thing of ours that is shown.
    if any(folder.resolve() / PACKAGES in path.parents for folder in own):
        own = ()
    if not path.is_absolute() or path.resolve() != path or not path.exists():
        raise Denial(Code.OUTSIDE_LIMITS, f"{path}, a part of the runtime, is no longer what was approved")
    if (reason := holds_protected(path, own, user_home)) is not None:
        raise Denial(Code.OUTSIDE_LIMITS, f"a part of the runtime may not be shown: {reason}")
    return Mount(path=path, access=Access.READ_ONLY)


def _covers(folder: Folder, own: tuple[Path, ...], user_home: Path) -> dict[Path, Mount]:
    """What must be covered inside a folder.

    The folders on the way to a cover are mounted on themselves: a folder that holds a mount can be renamed, one that
    is a mount cannot (EBUSY), and so a covered `.git/hooks` cannot be moved aside with its repository.
    """
    writable = folder.access is Access.READ_WRITE
    covers: dict[Path, Mount] = {}
    for item in protected_paths(folder.path, own, user_home):
        hidden = item.cover is Cover.HIDDEN
        if not hidden and not writable:
            continue
        if item.path.is_symlink():
            if hidden:
                # Where it leads is shown only if it is a limit by itself, and is covered there.
                continue
            raise Denial(
                Code.OUTSIDE_LIMITS,
                f"{item.path} is a link, so it cannot be protected from a server that may write to {folder.path}; "
                "replace the link, or let the server only read",
            )
        if writable:
            for parent in reversed(item.path.parents):
                if folder.path in parent.parents:
                    covers.setdefault(parent, Mount(path=parent, access=Access.READ_WRITE))
        covers[item.path] = Mount(path=item.path, access=Access.READ_ONLY, hidden=hidden)
    return covers


def system_arguments() -> Iterator[str]:
    """The system's programs and libraries and a little of /etc, read-only; nothing of the home, /var, /run or /opt."""
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    # Read-only: root inside is root to the kernel's switches in /proc/sys, and process 1, which no filter of system
    # calls holds, could be rewritten by /proc/1/mem.
    yield from ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")
    yield from ("--size", str(TEMPORARY_BYTES), "--tmpfs", "/dev/shm")  # noqa: S108 - the sandbox's own
    yield from ("--size", str(TEMPORARY_BYTES), "--tmpfs", "/tmp")  # noqa: S108 - the sandbox's own


def etc_files(uid: int, gid: int) -> dict[str, bytes]:
    """The few files of /etc that are ours: the accounts and names that exist inside."""
    user = "root" if uid == 0 else "user"
    return {
        "/etc/passwd": f"{user}:x:{uid}:{gid}::{SCRATCH}:/bin/sh\n".encode(),
        "/etc/group": f"{user}:x:{gid}:\n".encode(),
        "/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    }
