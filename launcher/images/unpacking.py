"""The daemon's side of `worker`: starts one for a layer, and tells its end as a value or as an error."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launcher import interpreter
from launcher.errors import LauncherError
from launcher.images import errors
from launcher.images.errors import BadImage
from launcher.images.streams import Limits
from launcher.records import opened_directory
from launcher.wanted import run_while_wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes to be unpacked: a descriptor, and where they are in it (None: from here to the end)."""

    fd: int
    start: int | None = None
    length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What became of a layer. `digest` is of the bytes as they came, `tree` of the files on disk."""

    digest: str
    diff_id: str
    size_bytes: int
    entries: int
    dropped: int
    hides_below: bool
    tree: str


def unpack_blob(blob: Blob, directory: str, limits: Limits) -> Unpacked:
    """Fill an empty directory with a layer, durably; BadImage and OverLimit say what is wrong with it."""
    request = {"action": "unpack", "limits": limits.to_wire(), "start": blob.start, "length": blob.length}
    with opened_directory(directory) as root_fd:
        return Unpacked(**run_worker(request | {"root_fd": root_fd}, blob.fd, (root_fd,)))


def digest_of_tree(directory: str) -> str:
    """The digest of the files below a directory, as `Unpacked.tree` has it."""
    with opened_directory(directory) as root_fd:
        request = {"action": "verify", "root_fd": root_fd}
        digest: str = run_worker(request, None, (root_fd,))["tree"]
        return digest


def read_confined(request: Mapping[str, Any], source: int, root: str, fds: tuple[int, ...] = ()) -> Any:
    """Have a source read that is not unpacked: nothing is written below `root`."""
    with opened_directory(root) as root_fd:
        return run_worker({**request, "root_fd": root_fd}, source, (root_fd, *fds))


def run_worker(request: Mapping[str, Any], source: int | None, fds: tuple[int, ...]) -> Any:
    """Start a worker, wait for it, and give back what it answers; NotWanted ends it."""
    whole = json.dumps({**request, "parent": os.getpid()})
    done = run_while_wanted(
        interpreter.command("launcher.images.worker", whole, site=True),
        stdin=subprocess.DEVNULL if source is None else source,
        pass_fds=fds,
        env=interpreter.environment(),
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        detail = f"it ended with {done.returncode}" + (f": {why[-1][:200]}" if why else "")
        raise LauncherError(f"unpacking failed: {detail}") from None
    if "refused" in answer:
        raise _refused(answer["refused"], answer["why"])
    if "failed" in answer:
        raise _failed(answer["errno"], answer["failed"])
    return answer["done"]


def _refused(name: str, why: str) -> LauncherError:
    """The worker's error again, with its very words."""
    kind = getattr(errors, name, BadImage)
    error: LauncherError = kind.__new__(kind, why)
    return error


def _failed(code: int, why: str) -> LauncherError:
    if code in (errno.ENOSPC, errno.EDQUOT):
        return LauncherError("no room is left for the layer in the state directory; nothing of it was kept")
    if code == errno.ENAMETOOLONG:
        return BadImage("the layer has directories deeper than a path can be")
    return LauncherError(f"unpacking failed: {why.lower()}")
