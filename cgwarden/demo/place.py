"""Where the demo lives, that there is one at a time, and what a killed one left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import time
from pathlib import Path

from launcher.removal import remove_tree

CGROUP_PARENT = "cgwarden-demo"
_STOP_SEC = 20.0


class DemoRefused(Exception):
    """The demo cannot start or end properly; one line that says what to do. `exit_code` as for every verb."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Place:
    """The demo's directories, held by a lock that the kernel drops even when the demo is killed."""

    def __init__(
        self, run_dir: Path = Path("/run/cgwarden-demo"), state_dir: Path = Path("/var/lib/cgwarden-demo")
    ) -> None:
        self.run_dir = run_dir
        self.state_dir = state_dir
        self._lock: int | None = None

    @property
    def socket_path(self) -> str:
        """The demo daemon's socket."""
        return str(self.run_dir / "cgwarden.sock")

    @property
    def host(self) -> str:
        """What CGWARDEN_HOST must be to talk to the demo's daemon."""
        return f"unix://{self.socket_path}"

    @property
    def log_path(self) -> Path:
        """What the demo's daemon logs."""
        return self.state_dir / "daemon.log"

    def has_containers(self) -> bool:
        """Whether a daemon of this place has containers, running or not."""
        containers = self.state_dir / "containers"
        return containers.is_dir() and any(containers.iterdir())

    def take(self) -> None:
        """Become the only demo on this host, or DemoRefused with the other one's pid."""
        for directory in (self.run_dir, self.state_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.run_dir / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 32, 0).decode().strip() or "unknown"
            os.close(lock)
            raise DemoRefused(
                f"a demo is running already, with pid {pid}: end it with Ctrl-C or `kill {pid}`", 4
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def stop_old_daemon(self) -> int | None:
        """End a killed demo's daemon, so that ours can adopt its containers; its pid, or None."""
        pid = _peer_of(self.socket_path)
        if pid is None:
            return None
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            if not wait_for_end(pidfd, _STOP_SEC):
                raise DemoRefused(
                    f"the daemon of a former demo, pid {pid}, does not end: `kill -9 {pid}` and try again"
                )
        finally:
            os.close(pidfd)
        return pid

    def remove(self) -> None:
        """Remove both directories; the lock goes with them, last."""
        remove_tree(str(self.state_dir))
        remove_tree(str(self.run_dir))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def wait_for_end(pidfd: int, timeout_sec: float) -> bool:
    """Whether the process ended within the time."""
    import select

    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(timeout_sec * 1000))


def wait_until(deadline_sec: float, ready: object, every_sec: float = 0.05) -> bool:
    """Call `ready` until it is true or the time is over."""
    end = time.monotonic() + deadline_sec
    while True:
        if ready():  # type: ignore[operator]
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(every_sec)


def _peer_of(path: str) -> int | None:
    """The pid of the process that listens on a unix socket; None where nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("iII", credentials)[0]
    return pid
