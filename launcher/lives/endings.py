"""What happens when a container has ended: final numbers, a complete record, cgroups gone, in this order."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Any, NamedTuple

from cgroupfs import Cgroup, CgroupError, CgroupGone
from launcher import records
from launcher.beside import exits
from launcher.container import Container
from launcher.failpoints import reach
from launcher.removal import try_remove_tree
from launcher.site import Site


class Ending(NamedTuple):
    container: Container
    reason: str
    detail: dict[str, Any]


def finish(site: Site, container: Container, pidfd: int | None, reason: str) -> Ending:
    """Read the last numbers, complete the record, remove the cgroups; may be cut short and done again."""
    state_dir = site.state_of(container.name)
    record = records.read_record(state_dir, records.EXIT)
    recorded = record is not None
    if record is None:
        why = reason if os.path.isdir(state_dir) else f"{state_dir} was deleted, so its end was not recorded"
        record = _read_unseen(container, pidfd) | {"reason": why}
    if "oom_killed" not in record:
        record |= _last_numbers(container.cgroup)
        reach("end.read")
        _write_exit(state_dir, record, recorded)
        reach("end.recorded")
    left = [_remove_cgroups(site, container), try_remove_tree(site.run_of(container.name))]
    site.networks.detach(container.name)
    reach("end.cgroups")
    ended = exited(container, record)
    detail = {key: record.get(key) for key in ("exit_code", "signal", "oom_killed", "usage")}
    if any(left):
        detail["left"] = "; ".join(filter(None, left))
    return Ending(ended, record.get("reason") or _reason(record), detail)


def record_for_supervisor(site: Site, container: Container, pidfd: int, why: str) -> None:
    """The supervisor's part of the record, for one that cannot write it itself; the rest is `finish`'s."""
    record = _read_unseen(container, pidfd)
    known = "exit code unknown" if record["exit_code"] is None else _reason(record)
    _write_exit(site.state_of(container.name), record | {"reason": f"{known}; {why}"}, recorded=False)


def _read_unseen(container: Container, pidfd: int | None) -> dict[str, Any]:
    """No supervisor wrote it down; the kernel may still know."""
    if pidfd is not None and container.pid is not None:
        return exits.read_exit_record(pidfd, container.pid, container.start_ticks)
    return {**exits.exit_of_status(None), "finished_at": records.rfc3339()}


def exited(container: Container, record: dict[str, Any]) -> Container:
    """The container as its exit record tells it."""
    return replace(
        container,
        state="exited",
        exit_code=record.get("exit_code"),
        signal=record.get("signal"),
        oom_killed=bool(record.get("oom_killed")),
        finished_at=record.get("finished_at"),
        started_at=container.started_at or record.get("started_at"),
        cgroup=None,
    )


def _reason(record: dict[str, Any]) -> str:
    if record.get("oom_killed"):
        return "a process was killed for lack of memory"
    if record.get("signal") is not None:
        return f"killed by signal {record['signal']}"
    return f"exited with {record['exit_code']}"


def _last_numbers(cgroup: Cgroup | None) -> dict[str, Any]:
    """OOM kills and total use, which vanish with the cgroup."""
    if cgroup is None:
        return {"oom_killed": False}
    try:
        slow = cgroup.read_slow()
        hot = cgroup.hot(keep=False).read()
    except CgroupError:
        return {"oom_killed": False}
    usage = {
        "cpu_usage_usec": hot.cpu.usage_usec if hot.cpu else None,
        "memory_peak_bytes": slow.memory_peak_bytes,
        "pids_peak": slow.pids_peak,
    }
    return {"oom_killed": bool(slow.oom_kills), "usage": usage}


def _write_exit(state_dir: str, record: dict[str, Any], recorded: bool) -> None:
    try:
        with records.opened_directory(state_dir) as fd:
            # The supervisor's part has been synced; the last numbers are lost with the host's memory anyway.
            records.write_record(fd, records.EXIT, record, durable=not recorded)
    except OSError as e:
        # A full disk keeps no record, nor does a directory that somebody deleted; the container has ended all
        # the same, and waiters must hear of it.
        record["reason"] = f"{record.get('reason') or _reason(record)} (not recorded: {e.strerror})"


def _remove_cgroups(site: Site, container: Container) -> str | None:
    """What is left in there was started by an `exec` at the last moment. None, or why it could not go."""
    try:
        if container.cgroup is not None:
            with contextlib.suppress(CgroupGone), contextlib.closing(container.cgroup):
                container.cgroup.kill()
        site.hierarchies.remove(site.cgroup_of(container.spec))
    except CgroupError as e:
        return str(e)
    return None
