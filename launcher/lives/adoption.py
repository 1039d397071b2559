"""What a daemon finds at its start, and what becomes of it: the table "After a crash" of docs/launcher.md."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from cgroupfs import Cgroup, CgroupError, CgroupGone
from launcher import klass, records
from launcher.beside.settling import await_settled
from launcher.container import Container
from launcher.errors import BadSpec, LauncherError
from launcher.lives import boots, endings
from launcher.lives.life import Life, after_reboot
from launcher.processes import is_alive
from launcher.removal import REMOVED, remove_tree, try_remove_tree
from launcher.site import Site
from launcher.spec import NAME, ContainerSpec

_LOG: Final = logging.getLogger("cgwarden.launcher")


class Found(NamedTuple):
    container: Container
    supervisor_pid: int | None
    reason: str
    life: Life = Life()


def find(site: Site) -> list[Found]:
    """Every container on record, classified; records of launches that never were acknowledged are undone."""
    found = []
    rebooted = boots.is_first_start_since_boot(site.state_dir, site.boot_id)
    for name in sorted(os.listdir(site.containers_dir)):
        try:
            one = _look_at(site, name)
        except (LauncherError, CgroupError, OSError) as e:
            # One that cannot be read or removed keeps no daemon from its start; the next one tries again.
            _LOG.warning("%r in %s could not be taken over: %s", name, site.containers_dir, e)
            continue
        if one is not None:
            found.append(_with_life(site, one, rebooted))
    boots.remember_boot(site.state_dir, site.boot_id)
    return found


def _with_life(site: Site, found: Found, rebooted: bool) -> Found:
    """What is wished for it; a boot of the host is a wish of its own for those that are always to run."""
    policy, directory = found.container.spec.restart, site.state_of(found.container.name)
    wished = Life.read(directory)
    if rebooted and found.container.state == "exited" and after_reboot(policy, wished) != wished:
        wished = after_reboot(policy, wished)
        wished.write(directory)
    return found._replace(life=wished, container=replace(found.container, restart_count=wished.restarts))


def _look_at(site: Site, name: str) -> Found | None:
    if not _is_ours(site.state_of(name), name):
        _LOG.warning("%r in %s is no container of ours; it is left alone", name, site.containers_dir)
        return None
    if name.startswith(REMOVED):
        remove_tree(site.state_of(name))
        return None
    return _classify(site, name)


def _is_ours(directory: str, name: str) -> bool:
    """A directory, no link to one, that a removal hid, or that holds a record or not yet anything of one."""
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        return False
    if name.startswith(REMOVED):
        return True
    return NAME.fullmatch(name) is not None and records.may_hold(os.listdir(directory))


def _classify(site: Site, name: str) -> Found | None:
    state_dir = site.state_of(name)
    if not await_settled(state_dir):
        _LOG.warning("a launch of %r by another daemon is still under way", name)
    init = records.read_record(state_dir, records.INIT)
    end = records.read_record(state_dir, records.EXIT)
    intent = records.read_record(state_dir, records.SPEC) or (init or {}).get("intent")
    container = _from_records(name, intent or {}, init or {})
    if init is None and end is None:
        return _without_a_run(site, container, kept=bool((intent or {}).get("kept")))
    same_boot = (init or {}).get("boot_id") == site.boot_id
    if same_boot and is_alive(container.pid, container.start_ticks):
        return _adopt_running(site, container, init or {})
    if same_boot and end is None and _supervisor_alive(init or {}):
        return _adopt_running(site, container, init or {})
    return _finish(site, container, end, "its supervisor was lost" if same_boot else "the host was rebooted")


def _from_records(name: str, intent: dict[str, Any], init: dict[str, Any]) -> Container:
    try:
        spec = ContainerSpec.from_wire(intent.get("spec") or {})
    except BadSpec:
        # A damaged record must not hide a container that runs: it can still be limited, stopped and removed.
        spec = ContainerSpec(name=name, rootfs="/", command=("?",), image="?", hostname=name)
    return Container(
        spec=replace(spec, name=name),
        state="running",
        pid=init.get("pid"),
        start_ticks=init.get("start_ticks"),
        created_at=intent.get("created_at") or init.get("started_at") or records.rfc3339(),
        started_at=init.get("started_at"),
        oom_score_adj=init.get("oom_score_adj"),
    )


def _supervisor_alive(init: dict[str, Any]) -> bool:
    return is_alive(init.get("supervisor_pid"), init.get("supervisor_start_ticks"))


def _adopt_running(site: Site, container: Container, init: dict[str, Any]) -> Found:
    """With its supervisor, which keeps the log and will record the end; or as an orphan that is watched
    from here.
    """
    try:
        cgroup = site.hierarchies.cgroup(site.cgroup_of(container.spec))
    except CgroupGone:
        cgroup = None
    watched = _supervisor_alive(init)
    supervised = watched and not init.get("orphan")
    reason = "it ran on without the daemon" if supervised else "its supervisor was lost; it runs on"
    adopted = replace(
        container, cgroup=cgroup, supervised=supervised, notes=_notes(site, container, cgroup, init)
    )
    return Found(adopted, init.get("supervisor_pid") if watched else None, reason)


def _notes(site: Site, container: Container, cgroup: Cgroup | None, init: dict[str, Any]) -> tuple[str, ...]:
    """As they were at the launch: they follow from the spec and the host."""
    notes = klass.describe_score(klass.oom_score_of(container.spec, site.host_bytes), init)
    if cgroup is None:
        return notes
    with contextlib.suppress(CgroupError):
        return klass.mean(container.spec, cgroup).notes + notes
    return notes


def _finish(site: Site, container: Container, end: dict[str, Any] | None, reason: str) -> Found | None:
    """It ended while nobody looked: complete the record, remove its cgroups."""
    with contextlib.suppress(CgroupGone):
        container = replace(container, cgroup=site.hierarchies.cgroup(site.cgroup_of(container.spec)))
    told = end is not None and "oom_killed" in end
    ending = endings.finish(site, container, None, reason)
    if ending.container.spec.auto_remove:
        remove_tree(site.state_of(container.name))
        return None
    return Found(
        ending.container, None, "it had ended before" if told else f"it ended meanwhile: {ending.reason}"
    )


def _without_a_run(site: Site, container: Container, *, kept: bool) -> Found | None:
    """Intent only: a launch that never was acknowledged is rolled back; what was created, or was being
    started again, is what it was before.
    """
    state_dir = site.state_of(container.name)
    _undo_run(site, container.spec)
    if not kept:
        remove_tree(state_dir)
        return None
    last = records.read_record(state_dir, records.LAST)
    if last is None:
        return Found(replace(container, state="created", started_at=None), None, "it had not run yet")
    os.rename(f"{state_dir}/{records.LAST}", f"{state_dir}/{records.EXIT}")
    return Found(endings.exited(container, last), None, "it had ended, and did not come to run again")


def _undo_run(site: Site, spec: ContainerSpec) -> None:
    """Backwards: the processes, the cgroups, the run directory."""
    with (
        contextlib.suppress(CgroupGone),
        contextlib.closing(site.hierarchies.cgroup(site.cgroup_of(spec))) as cgroup,
    ):
        cgroup.kill()
    site.hierarchies.remove(site.cgroup_of(spec))
    remove_tree(site.run_of(spec.name))


def undo_leaks(site: Site, groups: Collection[str] = ()) -> list[tuple[str, str]]:
    """Run directories and empty cgroups of ours without a record; a populated cgroup is somebody else's."""
    undone = []
    known = set(os.listdir(site.containers_dir))
    for name in sorted(set(os.listdir(f"{site.run_dir}/containers")) - known):
        if (left := try_remove_tree(site.run_of(name))) is not None:
            _LOG.warning("%s", left)
    undone += [(name, f"its {what} had been left behind") for name, what in site.roots.sweep(known)]
    for path in _unknown_cgroups(site, known, groups):
        with contextlib.suppress(CgroupError):
            if not _is_populated(site, path):
                site.hierarchies.remove(path)
                undone.append((path.rpartition("/")[2], "its cgroup had been left behind, empty"))
    return undone


def _unknown_cgroups(site: Site, known: Collection[str], groups: Collection[str]) -> Iterator[str]:
    for parent in (site.parent_path, *map(site.group_path, groups)):
        ours = {*known, *groups} if parent == site.parent_path else set(known)
        yield from (f"{parent}/{name}" for name in sorted(site.hierarchies.children(parent) - ours))


def _is_populated(site: Site, path: str) -> bool:
    try:
        with contextlib.closing(site.hierarchies.cgroup(path)) as cgroup:
            return bool(cgroup.procs())
    except CgroupGone:
        return False
