"""A container that was created, or that has ended, is started on its own record: its writable layer and its
log stay, and whatever fails or dies on the way, it is again what it was before.

Each step leaves records that say so: with the old end in place under either name the container has ended, and
an intent that is kept, with neither, is one that has not run yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from launcher import records
from launcher.beside.spawner import Spawner
from launcher.container import Container
from launcher.errors import LaunchFailed
from launcher.failpoints import reach
from launcher.lives import launch
from launcher.lives.intent import keep_intent
from launcher.lives.launch import RecordLimits
from launcher.site import Site


def start_again(
    site: Site, spawner: Spawner, container: Container, record_limits: RecordLimits
) -> tuple[Container, int]:
    """The running container, and its supervisor's pid."""
    spec = launch.check(site, container.spec)
    keep_intent(site, container.spec, container.created_at)
    reach("start.kept")
    with _old_end_aside(site.state_of(container.name), container):
        return launch.start(site, spawner, spec, container.created_at, record_limits)


@contextlib.contextmanager
def _old_end_aside(state_dir: str, container: Container) -> Iterator[None]:
    try:
        with records.opened_directory(state_dir) as fd:
            _put_aside(state_dir, fd, container)
    except OSError as e:
        raise LaunchFailed("put the records of the last run aside", f"{state_dir}: {e.strerror}") from e
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{state_dir}/{records.LAST}", f"{state_dir}/{records.EXIT}")
        raise


def _put_aside(state_dir: str, fd: int, container: Container) -> None:
    end = records.read_record(state_dir, records.EXIT)
    if end is not None:
        records.write_record(fd, records.LAST, end | {"started_at": container.started_at})
    _unlink(fd, records.INIT)
    reach("start.init-gone")
    _unlink(fd, records.EXIT)
    os.fsync(fd)
    reach("start.exit-aside")


def _unlink(fd: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=fd)
