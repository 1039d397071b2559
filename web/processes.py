"""The processes of one container, as `ps` shows them; what a process writes into its title is only text."""

from typing import Any

import psutil
from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.names import Name
from web.parts import Services
from web.scopes import READ
from web.wire import reply

_PROCESSES_MAX = 5000
_COMMAND_MAX = 4096

router = APIRouter(tags=["containers"])


@router.get("/containers/{name}/processes", dependencies=[requires(READ)], responses=answers("ProcessList"))
async def list_processes(request: Request, name: Name) -> Response:
    """Every process in the container's cgroup, by the host's process ids."""
    services, threads = parts_of(request)
    return reply({"processes": await threads.read(read_processes, services, name)})


def read_processes(services: Services, name: str) -> list[dict[str, Any]]:
    """A row per process; one that ended meanwhile is left out."""
    cgroup = services.launcher.get(name).cgroup
    pids = [] if cgroup is None else sorted(cgroup.procs())[:_PROCESSES_MAX]
    rows = (read_process(pid) for pid in pids)
    return [row for row in rows if row is not None]


def read_process(pid: int) -> dict[str, Any] | None:
    """One process; None when it has ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return {
                "pid": pid,
                "ppid": process.ppid(),
                "user": str(process.uids().effective),
                "state": process.status(),
                "rss_bytes": process.memory_info().rss,
                "command": (" ".join(process.cmdline()) or f"[{process.name()}]")[:_COMMAND_MAX],
            }
    except psutil.NoSuchProcess:
        return None
