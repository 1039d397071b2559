"""A daemon made of canned answers on a unix socket: what verbs ask is recorded, what they get is stated."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNKED = "chunked"


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    body: Any


@dataclass
class Stub:
    """Answers by "METHOD /path"; a list is streamed as JSON lines, one chunk each."""

    host: str
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, request: str, document: Any, status: int = 200) -> None:
        self.answers[request] = (status, document)

    def problem(self, request: str, slug: str, status: int, **more: object) -> None:
        document = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": f"{slug} it is"}
        self.answers[request] = (status, document | more)


@contextmanager
def serving(directory: Path) -> Iterator[Stub]:
    """A stub that serves until the block ends."""
    path = directory / "s"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    stub = Stub(f"unix://{path}")
    thread = threading.Thread(target=_serve, args=(listener, stub), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        listener.close()


def _serve(listener: socket.socket, stub: Stub) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            _answer(connection, stub)


def _answer(connection: socket.socket, stub: Stub) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in lines}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    path, _, query = target.partition("?")
    stub.asked.append(Asked(method, path, query, json.loads(body) if body else None))
    status, document = stub.answers.get(
        f"{method} {path}", (404, {"type": "/problems/not-found", "detail": "nothing"})
    )
    connection.sendall(_encode(status, document))


def _encode(status: int, document: Any) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n".encode()
    if isinstance(document, list):
        lines = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in document]
        chunks = [f"{len(line):x}\r\n".encode() + line + b"\r\n" for line in lines]
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"
    body = b"" if document is None else json.dumps(document).encode()
    return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def container(name: str, **more: object) -> Mapping[str, object]:
    """A running container as the list of the API has it."""
    return {
        "name": name,
        "state": "running",
        "pid": 4242,
        "exit_code": None,
        "image": "/srv/root",
        "labels": {},
        "created_at": "2026-01-31T08:00:00.000Z",
        "started_at": "2026-01-31T08:00:00.100Z",
        "finished_at": None,
        "class": "burstable",
        "command": ["sleep", "100"],
        "rootfs": "/srv/root",
        "network": "none",
        "hostname": name,
        "supervised": True,
        "oom_killed": False,
        "usage": None,
        "limits": {"memory_max_bytes": 64 << 20, "cpu_max_cores": 0.5, "pids_max": "max"},
    } | more
