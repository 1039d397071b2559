"""The first thing on disk of every container: what was asked for, and the directories of its writable layer.

An intent is rolled back by the next daemon unless a record of its first process stands beside it, or it is
*kept*: `create` acknowledged it, or the container has run and is being started again.
"""

from __future__ import annotations

import contextlib
import os

from launcher import records
from launcher.errors import LaunchFailed, NameTaken
from launcher.failpoints import reach
from launcher.removal import remove_tree, try_remove_tree
from launcher.site import Site
from launcher.spec import ContainerSpec


def record_intent(
    site: Site, spec: ContainerSpec, layers: tuple[str, ...], undo: contextlib.ExitStack
) -> str:
    """Make the container's directory with its intent, and its root; the time of its making."""
    state_dir = site.state_of(spec.name)
    try:
        os.mkdir(state_dir, 0o700)
    except FileExistsError:
        raise NameTaken(spec.name) from None
    except OSError as e:
        raise LaunchFailed("record the intent", f"{state_dir}: {e.strerror}") from e
    undo.callback(try_remove_tree, state_dir)
    reach("create.directory")
    created_at = records.rfc3339()
    try:
        with records.opened_directory(state_dir) as fd:
            os.mkdir("root", 0o755, dir_fd=fd)
            _write_intent(fd, spec, created_at, kept=False)
    except OSError as e:
        raise LaunchFailed("record the intent", f"{state_dir}: {e.strerror}") from e
    reach("create.intent")
    site.ids.of(spec.name, spec.userns)
    site.volumes.prepare(spec)
    undo.callback(site.roots.remove, spec.name)
    site.roots.prepare(spec, layers)
    reach("create.root")
    return created_at


def keep_intent(site: Site, spec: ContainerSpec, created_at: str) -> None:
    """From now on, and durably, it is rolled back no more."""
    state_dir = site.state_of(spec.name)
    if (records.read_record(state_dir, records.SPEC) or {}).get("kept"):
        return
    try:
        with records.opened_directory(state_dir) as fd:
            _write_intent(fd, spec, created_at, kept=True)
    except OSError as e:
        raise LaunchFailed("record the intent", f"{state_dir}: {e.strerror}") from e


def _write_intent(fd: int, spec: ContainerSpec, created_at: str, *, kept: bool) -> None:
    """One that is not kept becomes durable together with the record of the first process."""
    intent = {"spec": spec.to_wire(), "created_at": created_at, "kept": kept}
    records.write_record(fd, records.SPEC, intent, durable=kept)


def make_run_dir(site: Site, name: str, undo: contextlib.ExitStack) -> None:
    """For the socket and the pipes of one run; what an earlier one left there goes."""
    run_dir = site.run_of(name)
    undo.callback(try_remove_tree, run_dir)
    try:
        remove_tree(run_dir)
        os.mkdir(run_dir, 0o700)
    except OSError as e:
        raise LaunchFailed("make the run directory", f"{run_dir}: {e.strerror}") from e
    reach("launch.run-dir")
