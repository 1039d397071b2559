"""`cp`: the daemon's side. Finds the container's root and ids, starts the worker, passes the archive on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from launcher import interpreter
from launcher.container import Container
from launcher.errors import CannotCopy, NotRunning
from launcher.processes import held_process, is_alive
from launcher.registry import Registry
from launcher.site import Site

PIECE_BYTES: Final = 64 << 10
KINDS: Final = ("file", "tree", "contents", "archive")


@dataclass(frozen=True, slots=True)
class _Root:
    """A container's root directory, and its user namespace where that is not the host's."""

    fd: int
    userns_fd: int | None
    ids: tuple[int, int] = (0, 0)


class Copier:
    def __init__(self, site: Site, registry: Registry) -> None:
        self._site = site
        self._registry = registry

    def copy_out(self, name: str, path: str, *, follow: bool = False) -> Generator[bytes, None, None]:
        """A tar archive of the file or tree, under its last name; `.` where the path names none.

        Raises CannotCopy before anything is given. Works on what has ended, too: without its volumes.
        """
        container = self._registry.entry(name).container
        last = path.rstrip("/").rpartition("/")[2]
        request = {"do": "out", "path": path, "follow": follow}
        request["name"] = "." if last in ("", ".", "..") or path.endswith("/.") else last
        with contextlib.ExitStack() as held:
            root = held.enter_context(self._root_of(container))
            process = held.enter_context(_worker(request, root, stdin=subprocess.DEVNULL))
            assert process.stdout is not None
            first = os.read(process.stdout.fileno(), PIECE_BYTES)
            if not first:
                raise CannotCopy(name, _reason(process))
            pieces = _pieces(name, first, process, held.pop_all())
        next(pieces)  # begun, so that whoever closes it without reading ends the worker
        return pieces

    def copy_in(self, name: str, path: str, *, kind: str, owners: bool = False) -> CopyIn:
        """Take an archive: of one file, of a directory (`tree`), of what is in one (`contents`), or any
        (`archive`, into a directory that is there). All is the container's root's, but with `owners`.
        """
        container = self._registry.entry(name).container
        if container.state != "running":
            raise NotRunning(name, container.state)
        request = {"do": "in", "path": path, "kind": kind, "owners": owners}
        held = contextlib.ExitStack()
        try:
            root = held.enter_context(self._root_of(container))
            process = held.enter_context(_worker(request, root, stdin=subprocess.PIPE))
        except BaseException:
            held.close()
            raise
        return CopyIn(name, process, held)

    @contextlib.contextmanager
    def _root_of(self, container: Container) -> Iterator[_Root]:
        if container.state != "running":
            ids = self._site.owners_of(container.spec)
            with self._site.roots.seen(container.spec, ids) as trees:
                yield _Root(trees.tree, None, trees.ids)
            return
        with contextlib.ExitStack() as held:
            root, userns = _open_root(container)
            held.callback(os.close, root)
            if userns is not None:
                held.callback(os.close, userns)
            yield _Root(root, userns)


def _open_root(container: Container) -> tuple[int, int | None]:
    """Of the very process on record: while a pidfd is held and it lives afterwards, the number was its."""
    assert container.pid is not None
    fds = []
    try:
        with held_process(container.pid, container.start_ticks):
            place = f"/proc/{container.pid}"
            fds.append(os.open(f"{place}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            if os.stat(f"{place}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino:
                fds.append(os.open(f"{place}/ns/user", os.O_RDONLY | os.O_CLOEXEC))
            if is_alive(container.pid, container.start_ticks):
                return fds[0], fds[1] if len(fds) > 1 else None
    except (ProcessLookupError, FileNotFoundError):
        pass
    for fd in fds:
        os.close(fd)
    raise NotRunning(container.name, "exited")


@contextlib.contextmanager
def _worker(request: dict[str, Any], root: _Root, *, stdin: int) -> Iterator[subprocess.Popen[bytes]]:
    whole = request | {"root_fd": root.fd, "userns_fd": root.userns_fd, "ids": root.ids}
    process = subprocess.Popen(
        interpreter.command("launcher.files.copyworker", json.dumps(whole | {"parent": os.getpid()})),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[fd for fd in (root.fd, root.userns_fd) if fd is not None],
        cwd="/",
        env=interpreter.environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout, process.stderr):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()


def _reason(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait()
    try:
        return str(json.loads(said)["why"])
    except (ValueError, KeyError, TypeError):
        return f"the process that copies has ended ({process.returncode}): {said[-200:]!r}"


def _pieces(
    name: str, first: bytes, process: subprocess.Popen[bytes], held: contextlib.ExitStack
) -> Generator[bytes, None, None]:
    assert process.stdout is not None
    with held:
        yield b""
        yield first
        while piece := os.read(process.stdout.fileno(), PIECE_BYTES):
            yield piece
        if process.wait() != 0:
            raise CannotCopy(name, _reason(process))


class CopyIn:
    """Takes an archive, as an attachment takes input; `finish` waits for what has become of it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], held: contextlib.ExitStack) -> None:
        assert process.stdin is not None
        self._name = name
        self._process = process
        self._held = held
        self._input: Any = process.stdin
        os.set_blocking(self._input.fileno(), False)

    def write(self, data: bytes) -> int:
        """How many bytes were taken; all of them once nobody reads any more."""
        try:
            return os.write(self._input.fileno(), data)
        except BlockingIOError:
            return 0
        except (OSError, ValueError):
            return len(data)

    def end_input(self) -> bool:
        """The archive is complete."""
        self._input.close()
        return True

    def resize(self, rows: int, columns: int) -> None:
        """There is no terminal."""

    def detach(self) -> None:
        """It ends with its client."""

    def finish(self) -> dict[str, int]:
        """`entries` and `skipped`; raises CannotCopy. What was unpacked before an error stays."""
        with self._held:
            assert self._process.stdout is not None
            told = self._process.stdout.read()
            if self._process.wait() != 0 or not told:
                raise CannotCopy(self._name, _reason(self._process))
            found: dict[str, int] = json.loads(told)
            return found

    def hang_up(self) -> None:
        """The client has gone before the end: so does the worker."""
        self._process.kill()
