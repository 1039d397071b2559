"""The process that serves the tree: one for all containers of a daemon, which it outlives.

Descriptor 3 is /dev/fuse with the mount on it, 4 the listening control socket. A daemon that connects gets
copies of both: while somebody holds the former the kernel keeps the connection, and another server can go on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import sys
import time
from typing import Final

from cgroupfs import CgroupError, Hierarchies
from launcher import channel, syscalls
from launcher.procview import fuse
from launcher.procview.loads import EVERY_SEC, Loads
from launcher.procview.tree import ContainerTree

FUSE_FD: Final = 3
LISTEN_FD: Final = 4
ORPHAN_LOOK_SEC: Final = 0.5
# Requests that a killed server had taken and not answered come again (FUSE_NOTIFY_RESEND, Linux 6.9).
_RESEND: Final = struct.pack("=IiQ", 16, 7, 0)


def main() -> None:
    """`server PARENT CONTAINERS_DIR MOUNT`; ends with its mount, and with the last container if no daemon is
    there.
    """
    parent, containers_dir, mount = sys.argv[1:4]
    syscalls.set_process_name(b"cgwarden-proc")
    hierarchies = Hierarchies.read()
    loads = Loads(hierarchies)
    server = Server(ContainerTree(hierarchies, parent, containers_dir, loads), loads)
    os.set_blocking(FUSE_FD, False)
    with contextlib.suppress(OSError):
        os.write(FUSE_FD, _RESEND)
    server.run()
    with contextlib.suppress(OSError):
        syscalls.umount_detach(os.fsencode(mount))


class Server:
    """The loop."""

    def __init__(self, tree: ContainerTree, loads: Loads) -> None:
        self._tree = tree
        self._loads = loads
        self._listener = socket.socket(fileno=LISTEN_FD)
        self._daemons: dict[int, socket.socket] = {}
        self._poller = select.poll()
        self._next_tick = self._next_look = time.monotonic()

    def run(self) -> None:
        """Until the mount is taken away, or neither daemon nor container is left."""
        for fd in (FUSE_FD, LISTEN_FD):
            self._poller.register(fd, select.POLLIN)
        seen_daemon = False
        while True:
            for fd, event in self._poller.poll(self._patience_ms()):
                if fd == FUSE_FD:
                    if event & select.POLLERR or not self._answer_all():
                        return
                elif fd == LISTEN_FD:
                    self._greet(self._listener.accept()[0])
                    seen_daemon = True
                else:
                    self._poller.unregister(fd)
                    self._daemons.pop(fd).close()
            self._tick()
            if seen_daemon and not self._daemons and self._is_idle():
                return

    def _patience_ms(self) -> float | None:
        if not self._daemons:
            return ORPHAN_LOOK_SEC * 1000
        return max(0.0, (self._next_tick - time.monotonic()) * 1000) if self._loads.wanted else None

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_tick:
            self._loads.tick(now)
            self._next_tick = now + EVERY_SEC

    def _is_idle(self) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + ORPHAN_LOOK_SEC
        return not self._tree.has_containers()

    def _greet(self, daemon: socket.socket) -> None:
        daemon.settimeout(1.0)
        try:
            channel.receive(daemon)
            channel.send(daemon, {"pid": os.getpid()}, [FUSE_FD, LISTEN_FD])
        except OSError:
            daemon.close()
            return
        self._daemons[daemon.fileno()] = daemon
        self._poller.register(daemon.fileno(), select.POLLIN)

    def _answer_all(self) -> bool:
        """False once the mount is gone."""
        while True:
            try:
                request = os.read(FUSE_FD, fuse.LARGEST_REQUEST)
            except BlockingIOError:
                return True
            except OSError as e:
                if e.errno == errno.ENODEV:
                    return False
                if e.errno in (errno.ENOENT, errno.EINTR):  # the reader gave up meanwhile
                    continue
                raise
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        try:
            answer = fuse.answer(self._tree, request)
        except (CgroupError, ValueError, ArithmeticError, LookupError) as e:
            # One container's strange number must not take everybody's files away.
            sys.stderr.write(f"cgwarden: proc view: {type(e).__name__}: {e}\n")
            answer = fuse.failure(request, errno.EIO)
        if answer is not None:
            with contextlib.suppress(FileNotFoundError):  # interrupted: nobody waits for it
                os.write(FUSE_FD, answer)
