"""Slow, silent, greedy and many clients, who may connect, and an end that does not wait for streams."""

import os
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.web.client import read_all, wait_until
from tests.web.rig import Rig, running
from web.requests import RequestLimits
from web.server import ServerLimits
from web.sockets import CannotListen, bind_tcp, bind_unix, parse_address

HURRIED = ServerLimits(header_sec=0.3, body_sec=0.3, send_sec=0.3, connections=20, connections_per_peer=10)
START = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def test_a_silent_connection_is_closed_by_us() -> None:
    with running(HURRIED) as rig, rig.connect() as connection:
        assert read_all(connection) == b""


def test_a_header_that_drips_in_is_cut_off_however_lively() -> None:
    with running(HURRIED) as rig, rig.connect(tcp=True) as connection:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.02):
                try:
                    connection.send(b"X")
                except OSError:
                    return

        connection.sendall(START)
        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = read_all(connection)
        stop.set()
        dripping.join()

    assert answer.startswith(b"HTTP/1.1 408"), answer


def test_a_second_request_on_the_connection_has_the_same_deadline() -> None:
    with running(HURRIED) as rig, rig.connect() as connection:
        connection.sendall(START + b"\r\n" + START)

        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with running(HURRIED) as rig:
        answer = rig.raw(
            b"POST /api/v1/login-codes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10\r\n\r\n{"
        )

    assert answer.startswith(b"HTTP/1.1 408"), answer


def test_a_refused_request_with_a_body_does_not_keep_its_connection() -> None:
    with running(HURRIED) as rig:
        answer = rig.raw(
            b"POST /api/v1/containers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", tcp=True
        )

    assert answer.startswith(b"HTTP/1.1 401")


def test_a_stream_client_that_never_reads_is_cut() -> None:
    with running(HURRIED) as rig:
        for number in range(200):
            rig.launcher.add(f"c{number}")
        with rig.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /api/v1/stream?topics=containers HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: rig.app.state.streams.clients == 1)

            def cut() -> bool:
                rig.monitor.sweep()
                return bool(rig.app.state.streams.clients == 0)

            wait_until(cut)


def test_an_honest_client_is_served_beside_a_hundred_slow_ones() -> None:
    with running() as rig:
        slow = [rig.connect(tcp=True) for _ in range(100)]
        for connection in slow:
            connection.sendall(START)

        assert rig.get("/healthz", tcp=True).status == 200
        for connection in slow:
            connection.close()


def test_more_connections_than_a_peer_may_have_are_turned_away_and_places_come_free_again() -> None:
    limits = ServerLimits(connections=20, connections_per_peer=3)
    with running(limits) as rig:
        held = [rig.connect() for _ in range(3)]
        wait_until(lambda: len(rig.server.server_state.connections) == 3)
        assert rig.raw(START + b"\r\n").startswith(b"HTTP/1.1 503")
        assert rig.get("/healthz", tcp=True).status == 200
        for connection in held:
            connection.close()
        wait_until(lambda: not rig.server.server_state.connections)
        assert rig.get("/healthz").status == 200


def test_the_cap_on_bodies_is_exact() -> None:
    limits = ServerLimits(request=RequestLimits(body_bytes=100))
    with running(limits) as rig:
        fits = b'{"scope": "read"' + b" " * 83 + b"}"
        assert len(fits) == 100
        assert rig.ask("POST", "/api/v1/login-codes", fits).status == 200
        assert rig.ask("POST", "/api/v1/login-codes", fits + b" ").status == 413


def test_hostile_bodies_leave_no_memory_behind(rig: Rig) -> None:
    rig.ask("POST", "/api/v1/tokens", {"colour": "red"})
    before = _resident_bytes()

    for _ in range(5):
        rig.ask("POST", "/api/v1/tokens", b"[" + b"0," * 490_000 + b"0]")
        rig.ask("POST", "/api/v1/tokens", b"[" * 900_000)

    assert _resident_bytes() - before < 20_000_000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_the_end_does_not_wait_for_streams_waits_and_logs(rig: Rig) -> None:
    rig.launcher.add("web")
    paths = (
        b"GET /api/v1/stream",
        b"GET /api/v1/containers/web/logs?follow=true",
        b"POST /api/v1/containers/web/wait",
    )
    connections = [rig.connect() for _ in paths]
    for connection, path in zip(connections, paths, strict=True):
        connection.sendall(path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    wait_until(lambda: len(rig.server.server_state.tasks) == 3 and rig.app.state.streams.clients == 1)
    began = time.monotonic()

    rig.server.stop()
    answers = [read_all(connection) for connection in connections]
    rig.thread.join()
    for connection in connections:
        connection.close()

    assert time.monotonic() - began < 4.0  # the server's own patience with its tasks is five seconds
    assert answers[0].endswith(b"0\r\n\r\n")
    assert answers[1].endswith(b"0\r\n\r\n")
    assert answers[2].startswith(b"HTTP/1.1 503")


# --- sockets


def test_the_socket_is_for_root_and_group_alone_from_its_first_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "s.sock"
    modes: list[int] = []

    class Looking(socket.socket):
        """Looks right after bind(), before anybody could have mended the mode."""

        def bind(self, address: Any, /) -> None:
            super().bind(address)
            modes.extend(stat.S_IMODE(seen.lstat().st_mode) for seen in (path, path.parent))

    monkeypatch.setattr(socket, "socket", Looking)
    bind_unix(str(path)).close()

    assert modes == [0o660, 0o750]
    assert stat.S_IMODE(path.lstat().st_mode) == 0o660


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    bind_unix(path).close()

    with bind_unix(path) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        listener.accept()[0].close()


@pytest.mark.parametrize("kind", ["symlink", "file", "directory"])
def test_whatever_else_stands_in_the_sockets_place_is_refused_and_left(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "s.sock", tmp_path / "other"
    other.write_text("precious")
    if kind == "symlink":
        path.symlink_to(other)
    elif kind == "file":
        path.write_text("precious")
    else:
        path.mkdir()

    with pytest.raises(CannotListen, match="remove it, or choose another"):
        bind_unix(str(path))

    assert other.read_text() == "precious"
    assert path.exists()


def test_a_socket_directory_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")

    with pytest.raises(CannotListen, match="symlink"):
        bind_unix(str(tmp_path / "run" / "s.sock"))


def test_a_socket_path_that_is_too_long_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on .*too long"):
        bind_unix(str(tmp_path / ("x" * 120)))


def test_a_taken_address_is_told_in_one_line() -> None:
    with bind_tcp("127.0.0.1:0") as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        with pytest.raises(CannotListen, match=f"cannot listen on {address}: "):
            bind_tcp(address)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"])
def test_without_tls_only_loopback_is_served_unless_that_is_allowed(address: str) -> None:
    with pytest.raises(CannotListen, match="TLS"):
        bind_tcp(address)


@pytest.mark.parametrize(
    "address", ["", ":", "9380", "host", "::1:80", "h:x", "h:99999", "[::1]", "h:-1", "h:²"]
)
def test_a_malformed_address_is_told_with_an_example(address: str) -> None:
    with pytest.raises(CannotListen, match=r"127\.0\.0\.1:9380|the highest is 65535"):
        parse_address(address)


def test_addresses_are_split_as_in_a_url() -> None:
    assert parse_address("[::1]:9380") == ("::1", 9380)
    assert parse_address("localhost:1") == ("127.0.0.1", 1)


ASK = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b"GET /api/v1/host HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
print(client.recv(99).split()[1].decode())
"""


def ask_as(path: str, **who: object) -> "subprocess.CompletedProcess[str]":
    """Ask as another user, by the system's interpreter, since others may not enter root's directories."""
    command = ["/usr/bin/python3", "-I", "-S", "-c", ASK, path]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **who)  # type: ignore[call-overload,no-any-return]


@pytest.mark.kernel
def test_a_peer_who_is_neither_root_nor_of_the_group_is_refused_on_an_open_socket_too(rig: Rig) -> None:
    path = Path(rig.socket_path)
    for opened in (path, path.parent, path.parent.parent):
        opened.chmod(0o777)

    assert ask_as(rig.socket_path).stdout == "200\n"
    assert ask_as(rig.socket_path, user=65534, group=65534, extra_groups=[]).stdout == "403\n"


@pytest.mark.kernel
def test_a_member_of_the_sockets_group_may_do_all_be_it_by_a_supplementary_group() -> None:
    with running(group="nogroup", socket_group="nogroup") as rig:
        rig.directory.chmod(0o755)

        assert ask_as(rig.socket_path, user=12345, group=65534, extra_groups=[]).stdout == "200\n"
        assert ask_as(rig.socket_path, user=12345, group=12345, extra_groups=[65534]).stdout == "200\n"
        assert "PermissionError" in ask_as(rig.socket_path, user=12345, group=12345, extra_groups=[]).stderr
