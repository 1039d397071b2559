"""The daemon's side of the proc view: mounts it, keeps a server on it, finds the one of an earlier daemon.

The daemon holds a copy of the connection, so a server that was killed is replaced and no reader notices.
Should daemon and server be killed together, files that containers have open say ENOTCONN; new containers get
a new mount.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from launcher import channel, interpreter, syscalls
from launcher.errors import BadSpec, LaunchFailed
from launcher.procview.places import directory_of
from launcher.spec import ContainerSpec

_LOG: Final = logging.getLogger("cgwarden.launcher")
Watch = Callable[[int, Callable[[], None]], None]
_DEVICE: Final = "/dev/fuse"
_SOCKET: Final = "control.sock"
_ANSWER_SEC: Final = 5.0
_END_SEC: Final = 2.0
_ATTRIBUTES: Final = (
    syscalls.MOUNT_ATTR_RDONLY
    | syscalls.MOUNT_ATTR_NOSUID
    | syscalls.MOUNT_ATTR_NODEV
    | syscalls.MOUNT_ATTR_NOEXEC
)


class ProcView:
    """Started with the first container that wants it; safe to call from any thread."""

    def __init__(self, run_dir: str, containers_dir: str, cgroup_parent: str, watch: Watch) -> None:
        """`watch` calls back with a pidfd when its process has ended, from another thread."""
        self._directory = f"{run_dir}/procview"
        self._mount = f"{self._directory}/containers"
        self._prefix = f"/{cgroup_parent.strip('/')}/"
        self._arguments = [cgroup_parent, containers_dir, self._mount]
        self._watch_process = watch
        self._lock = threading.Lock()
        self._fuse_fd = -1
        self._listener: socket.socket | None = None
        self._hold: socket.socket | None = None
        self._closed = False
        self._pid = 0

    def wanted(self, spec: ContainerSpec) -> bool:
        """Does this container get it? BadSpec where it is asked for and the host has no FUSE."""
        if spec.proc == "plain":
            return False
        if os.path.exists(_DEVICE):
            return True
        if spec.proc == "limited":
            raise BadSpec(
                "proc", f"this host has no {_DEVICE} (modprobe fuse); plain shows the host's numbers"
            )
        return False

    def directory(self, cgroup_path: str) -> str:
        """Where a container's files are served, once the server has been started."""
        return f"{self._mount}/{directory_of(cgroup_path.removeprefix(self._prefix))}"

    def start(self) -> None:
        """Serve, unless we do already. LaunchFailed where the host does not let us."""
        with self._lock:
            if self._fuse_fd >= 0:
                return
            try:
                self._start()
            except OSError as e:
                where = f"{e.filename}: " if e.filename else ""
                why = f"{where}{e.strerror or e}; with --proc plain it is not needed"
                raise LaunchFailed("serve its view of /proc", why) from e

    def adopt(self) -> None:
        """Go on with the server of an earlier daemon, or clear away what is left of it."""
        with self._lock:
            if os.path.isdir(self._directory) and not self._connect():
                self._clear()

    def close(self, *, in_use: bool) -> None:
        """Without containers everything goes; with some the server stays."""
        with self._lock:
            self._closed = True
            if self._fuse_fd < 0:
                return
            if not in_use:
                self._clear()
            self._let_go()
            if not in_use:
                _await_end(self._pid)

    def _let_go(self) -> None:
        for held in (self._listener, self._hold):
            if held is not None:
                held.close()
        self._listener = self._hold = None
        os.close(self._fuse_fd)
        self._fuse_fd = -1

    def _clear(self) -> None:
        """The server ends when its mount does."""
        while True:
            try:
                syscalls.umount_detach(os.fsencode(self._mount))
            except OSError as e:
                if e.errno in (errno.EINVAL, errno.ENOENT):
                    break
                raise
        for remove, path in (
            (os.unlink, f"{self._directory}/{_SOCKET}"),
            (os.rmdir, self._mount),
            (os.rmdir, self._directory),
        ):
            with contextlib.suppress(FileNotFoundError):
                remove(path)

    def _start(self) -> None:
        os.makedirs(self._mount, 0o700, exist_ok=True)
        directory_fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_SOCKET, dir_fd=directory_fd)
            self._listener = channel.bind_control(directory_fd, _SOCKET)
        finally:
            os.close(directory_fd)
        self._fuse_fd = mount_fuse(self._mount)
        self._spawn()

    def _spawn(self) -> None:
        assert self._listener is not None
        pid = os.posix_spawn(
            sys.executable,
            interpreter.command("launcher.procview.server", *self._arguments),
            interpreter.environment(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self._fuse_fd, 3),
                (os.POSIX_SPAWN_DUP2, self._listener.fileno(), 4),
                # It outlives us: who reads our output must see its end when we end.
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP],
        )
        self._greet()
        self._watch(pid)

    def _connect(self) -> bool:
        """False where no server answers."""
        try:
            self._greet()
        except OSError:
            return False
        return True

    def _greet(self) -> None:
        """Stay connected: the server then knows that there is a daemon. The answer is taken when it comes."""
        hold = channel.connect_control(self._directory, _ANSWER_SEC, _SOCKET)
        try:
            channel.send(hold, {"do": "hold"})
            if self._fuse_fd >= 0:
                self._hold = hold
                return
            message = channel.receive(hold)
            if message is None or len(message.fds) != 2:
                raise ConnectionResetError(errno.ECONNRESET, "no server of a proc view")
        except OSError:
            hold.close()
            raise
        self._hold = hold
        self._fuse_fd, listen_fd = message.fds
        self._listener = socket.socket(fileno=listen_fd)
        self._watch(message.body["pid"])

    def _watch(self, pid: int) -> None:
        self._pid = pid
        pidfd = os.pidfd_open(pid)
        self._watch_process(pidfd, lambda: self._ended(pid, pidfd))

    def _ended(self, pid: int, pidfd: int) -> None:
        os.close(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        with self._lock:
            if self._closed or self._fuse_fd < 0:
                return
            if not os.path.isdir(self._directory):
                return  # somebody has cleared all of it away, and ended the server by that
            _LOG.warning("the process that serves /proc to containers (%d) had ended; another took over", pid)
            if self._hold is not None:
                self._hold.close()
            self._spawn()


def _await_end(pid: int) -> None:
    """The server has lost its mount: it ends by itself, unless somebody has stopped it."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([pidfd], [], [], _END_SEC)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    finally:
        os.close(pidfd)


def own_uptime() -> dict[str, int]:
    """Offsets for a time namespace in which the clock since boot, and so /proc/uptime, begins now.

    The kernel then shifts the start times of processes as well: `ps` stays right, which it is not where
    another file lies over /proc/uptime.
    """
    return {"boottime_sec": -int(time.clock_gettime(time.CLOCK_BOOTTIME))}


def mount_fuse(target: str) -> int:
    """Mount a new FUSE connection on the directory; its descriptor. Requests wait for whoever reads it."""
    fuse_fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        options: dict[bytes, bytes | None] = {
            b"source": b"cgwarden",
            b"fd": b"%d" % fuse_fd,
            b"rootmode": b"40000",
            b"user_id": b"0",
            b"group_id": b"0",
            b"allow_other": None,
            b"default_permissions": None,
        }
        tree = syscalls.mount_fs(b"fuse", options, _ATTRIBUTES)
        place = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syscalls.move_mount(tree, place)
        finally:
            os.close(place)
            os.close(tree)
    except OSError:
        os.close(fuse_fd)
        raise
    return fuse_fd
