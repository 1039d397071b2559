"""/proc/PID/oom_score_adj: who is killed first when the whole host is out of memory. Children inherit it.

Anybody may raise it; to lower it below where the process began needs CAP_SYS_RESOURCE (proc(5)).
"""

from __future__ import annotations

import contextlib
import os


def set_oom_score(process: int | str, wanted: int) -> int | None:
    """As far as the host permits; what it is then, None where /proc does not tell. A pid, or "self"."""
    path = f"/proc/{process}/oom_score_adj"
    with contextlib.suppress(OSError):
        _write(path, b"%d" % wanted)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int(os.read(fd, 32))
    finally:
        os.close(fd)


def read_host_bytes() -> int:
    """The host's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _write(path: str, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
