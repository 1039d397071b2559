"""The daemon's end of the guardian: start or find the process, hand it leases, hear what it ended.

Light on purpose: this is imported and started before the daemon has threads or large imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from enforcer.errors import GuardianLost
from enforcer.guardian_process import ENDED, PROTOCOL
from enforcer.lease import Lease

ACK_SEC = 5.0
START_SEC = 60.0  # a fresh interpreter on a machine that is busy or slow; one that dies is noticed at once
SOCKET = "guardian.sock"
Report = dict[str, object]
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from enforcer.guardian_process import main; main(sys.argv[1:])"
)


class Guardian:
    """A connection to the guardian process of one run directory.

    `start` finds the process that an earlier daemon left with its leases, or starts one. `listen` begins to
    hear its reports in a thread; until then nothing can be guarded. `ended` are the reports, by key, of what
    was ended while no daemon ran.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._path = os.path.join(run_dir, SOCKET)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[str | None]] = {}
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._number = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self.adopted = False
        self.pid = 0
        self.held: list[Lease] = []
        self._socket, self._pending = self._connect()
        self.ended = _take_ended(os.path.join(run_dir, ENDED))

    @classmethod
    def start(cls, run_dir: str) -> Guardian:
        """The guardian of this run directory, found or started; no thread is made here.

        Raises:
            GuardianLost: it does not come up.
        """
        return cls(run_dir)

    def listen(self, on_ended: Callable[[Report], None], on_restart: Callable[[], None]) -> None:
        """Hear reports in a thread. `on_restart` is called after the process died and was started again."""
        # In a thread of its own: `on_ended` may wait for somebody who waits for an answer of the guardian.
        threading.Thread(target=self._report, args=(on_ended,), name="guardian-reports", daemon=True).start()
        self._thread = threading.Thread(target=self._hear, args=(on_restart,), name="guardian", daemon=True)
        self._thread.start()

    def guard(self, lease: Lease) -> None:
        """Hand over a lease, or replace one, and wait until it is held; one without steps is forgotten."""
        why = self._ask({"op": "guard", **lease.to_wire()})
        if why is not None:
            raise GuardianLost(why)

    def forget(self, key: str) -> None:
        """Take a lease back; nothing is restored."""
        self._ask({"op": "forget", "key": key})

    def close(self) -> None:
        """Leave; a guardian that holds nothing goes too, one with leases stays until they have ended."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(ACK_SEC)
        self._socket.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            self._process.returncode = self._process.returncode or 0  # it may outlive us, and should

    def _ask(self, message: dict[str, object]) -> str | None:
        with self._lock:
            self._number += 1
            number = self._number
            answer: Future[str | None] = Future()
            self._waiting[number] = answer
            try:
                self._socket.sendall(json.dumps({**message, "id": number}).encode() + b"\n")
            except OSError as e:
                del self._waiting[number]
                raise GuardianLost(e.strerror or str(e)) from e
        try:
            return answer.result(ACK_SEC)
        except FutureTimeout as e:
            self._waiting.pop(number, None)
            raise GuardianLost(f"no answer within {ACK_SEC:g} s") from e

    def _report(self, on_ended: Callable[[Report], None]) -> None:
        while (report := self._reports.get()) is not None:
            on_ended(report)

    def _hear(self, on_restart: Callable[[], None]) -> None:
        while True:
            message = self._next_message()
            if message is None and self._closing:
                self._reports.put(None)
                return
            if message is None:
                self._start_again()
                threading.Thread(target=on_restart, name="guardian-restart", daemon=True).start()
            elif message.get("op") == "ack":
                self._answer(message)
            elif message.get("op") == "ended":
                self._reports.put(message)

    def _answer(self, message: Report) -> None:
        answer = self._waiting.pop(int(str(message.get("id"))), None)
        why = message.get("why")
        if answer is not None:
            answer.set_result(None if why is None else str(why))

    def _start_again(self) -> None:
        with self._lock:
            lost, self._waiting = self._waiting, {}
            for answer in lost.values():
                answer.set_exception(GuardianLost("it died; a new one is started"))
            self._socket.close()
            if self._process is not None:
                self._process.wait()
            self._socket, self._pending = self._connect()

    def _next_message(self) -> Report | None:
        line, self._pending = _read_line(self._socket, self._pending)
        return None if line is None else json.loads(line)

    def _connect(self) -> tuple[socket.socket, bytes]:
        found = self._try_existing()
        self.adopted = found is not None
        if found is None:
            self._spawn()
            found = self._try_existing(START_SEC)
        if found is None:
            raise GuardianLost("it was started but does not listen")
        return found

    def _try_existing(self, answer_sec: float = ACK_SEC) -> tuple[socket.socket, bytes] | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self._run_dir) as path:
                connection.connect(path)
            connection.settimeout(answer_sec)
            line, pending = _read_line(connection, b"")
            hello = json.loads(line or b"{}")
            connection.settimeout(None)
        except OSError:
            connection.close()
            return None
        if hello.get("version") != PROTOCOL:  # also the empty answer of one that is just going away
            connection.close()
            return None
        self.pid = int(hello["pid"])
        self.held = [Lease.from_wire(lease) for lease in hello["held"]]
        return connection, pending

    def _spawn(self) -> None:
        """A fresh interpreter: small, without our descriptors and locks, and startable from any thread."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            with _short_path(self._run_dir) as path:
                listener.bind(path)
            os.chmod(self._path, 0o600)
            listener.listen(4)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT, str(listener.fileno()), self._path],
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )


@contextlib.contextmanager
def _short_path(run_dir: str) -> Iterator[str]:
    """The socket's path through a descriptor: sun_path holds 107 bytes, directories may be longer."""
    fd = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


def _take_ended(path: str) -> dict[str, Report]:
    """Read and remove what a guardian left behind; a line cut off by a crash tells nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        os.unlink(path)
    except OSError:
        return {}
    found: dict[str, Report] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            report = json.loads(line)
            found[str(report["key"])] = report
    return found


def _read_line(connection: socket.socket, pending: bytes) -> tuple[bytes | None, bytes]:
    """One line, and what came after it; None at the end of the connection."""
    while b"\n" not in pending:
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        except OSError:
            return None, pending
        if not data:
            return None, pending
        pending += data
    line, _, rest = pending.partition(b"\n")
    return line, rest
