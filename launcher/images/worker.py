"""The process that touches what is hostile: one per layer, rooted in the directory it fills, with few rights.

It is a fresh interpreter, since the daemon has threads and must not fork. Started by `unpacking`; speaks one
line of JSON, then ends. Everything is imported before the root changes.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from typing import Any, Final

from launcher import syscalls
from launcher.errors import LauncherError
from launcher.images import listing
from launcher.images.errors import BadImage, OverLimit
from launcher.images.index import index_archive
from launcher.images.streams import LayerStream, Limits
from launcher.images.unpack import unpack

MEMORY_BYTES: Final = 1 << 30
_OPEN_FILES: Final = 256
_PR_SET_PDEATHSIG: Final = 1
# CHOWN DAC_OVERRIDE FOWNER FSETID SYS_ADMIN (trusted.overlay.opaque) MKNOD SETFCAP
_CAPABILITIES: Final = sum(1 << number for number in (0, 1, 3, 4, 21, 27, 31))


def main() -> None:
    """`argv[1]` is the request, descriptor 0 the layer."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request["parent"]:
        return  # the daemon died before it could take us along
    answer: dict[str, Any]
    try:
        answer = {"done": _work(request)}
    except LauncherError as e:
        answer = {"refused": type(e).__name__, "why": str(e)}
    except RecursionError:
        answer = {"refused": BadImage.__name__, "why": "the layer is nested too deeply"}
    except MemoryError:
        why = f"unpacking it takes more than {MEMORY_BYTES >> 20} MiB of memory, the limit"
        answer = {"refused": OverLimit.__name__, "why": why}
    except OSError as e:
        answer = {"failed": e.strerror or str(e), "errno": e.errno or errno.EIO}
    os.write(1, json.dumps(answer).encode())


def _work(request: dict[str, Any]) -> dict[str, Any]:
    root_fd: int = request["root_fd"]
    _confine(root_fd)
    if request["action"] == "verify":
        return {"tree": listing.tree_digest(root_fd)}
    limits = Limits(**request["limits"])
    stream = LayerStream(0, limits, request["start"], request["length"])
    if request["action"] == "index":
        return index_archive(stream, request["most"])
    if request["action"] == "spool":
        return {"bytes": stream.spool(request["out_fd"])}
    counts = unpack(stream, root_fd, limits)
    stream.drain()
    answer = {
        "digest": stream.digest,
        "diff_id": stream.diff_id,
        "size_bytes": counts.size_bytes,
        "entries": counts.entries,
        "dropped": counts.dropped,
        "hides_below": counts.hides_below,
        "tree": listing.tree_digest(root_fd),
    }
    syscalls.syncfs(root_fd)
    return answer


def _read_permitted() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapPrm:"))


def _confine(root_fd: int) -> None:
    permitted = _read_permitted()
    os.fchdir(root_fd)
    os.chroot(".")
    os.umask(0)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    syscalls.capset(_CAPABILITIES & permitted)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
