"""Live streams and pages of events: frames, replay without loss or doubles, slow clients told."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from monitor import Event
from tests.web.client import wait_until
from tests.web.rig import Rig
from web.stream import Client, event_frame, sse


class Listener:
    """A client of a stream, frame by frame."""

    def __init__(self, rig: Rig, path: str, **headers: str) -> None:
        self._socket = rig.connect()
        told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{told}\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.head = self._read_head()
        self.next()  # "retry:"

    def _read_head(self) -> bytes:
        lines = []
        while (line := self._file.readline()) != b"\r\n":
            lines.append(line)
        return b"".join(lines)

    def next(self) -> dict[str, Any]:
        """The next frame's fields."""
        fields: dict[str, Any] = {}
        while (line := self._file.readline().rstrip(b"\r\n")) or not fields:
            name, colon, value = line.decode().partition(": ")
            if colon:
                fields[name] = json.loads(value) if name == "data" else value
        return fields

    def until(self, event: str) -> dict[str, Any]:
        while (frame := self.next()).get("event") != event:
            pass
        return frame

    def close(self) -> None:
        self._file.close()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listen(rig: Rig) -> Iterator[Any]:
    made: list[Listener] = []

    def start(path: str, **headers: str) -> Listener:
        made.append(Listener(rig, path, **headers))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def note(rig: Rig, text: str, container: str = "web", type: str = "note") -> Event:
    return rig.events.append(
        type, container={"name": container}, actor_kind="operator", actor_name="root", reason=text
    )


def reasons(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["data"]["reason"] for frame in frames]


def test_a_new_listener_sees_the_last_sweep_at_once_and_then_each_new_one(rig: Rig, listen: Any) -> None:
    rig.launcher.add("web")
    rig.monitor.sweep()
    listener = listen("/api/v1/stream?topics=containers,host")

    first = [listener.next(), listener.next()]
    rig.monitor.sweep()
    second = [listener.next(), listener.next()]

    assert b"content-type: text/event-stream" in listener.head.lower()
    assert [frame["event"] for frame in first] == ["containers", "host"]
    assert first[0]["data"]["containers"] == rig.get("/api/v1/containers").json["containers"]
    assert first[1]["data"]["memory_total_bytes"] == 1 << 30
    assert [frame["data"]["tick"] for frame in first + second] == [0, 0, 1, 1]
    assert "id" not in first[0]


def test_one_container_can_be_followed_until_it_is_gone(rig: Rig, listen: Any) -> None:
    rig.launcher.add("web")
    rig.launcher.add("other")
    rig.monitor.sweep()
    listener = listen("/api/v1/stream?topics=container:web")

    assert listener.next()["data"]["usage"]["cpu_cores"] == 0.5
    rig.launcher.remove("web", force=True)
    rig.monitor.sweep()

    gone = listener.next()
    assert (gone["event"], gone["data"]["name"], gone["data"]["gone"]) == ("container", "web", True)


def test_events_arrive_as_they_are_appended_with_their_ids(rig: Rig, listen: Any) -> None:
    listener = listen("/api/v1/stream?topics=events")
    wait_until(lambda: rig.app.state.streams.clients == 1)

    event = note(rig, "hello\nworld")

    frame = listener.next()
    assert (frame["event"], frame["id"]) == ("event", str(event.id))
    assert frame["data"] == event.to_wire()


def test_a_listener_who_comes_back_misses_nothing_and_sees_nothing_twice(rig: Rig, listen: Any) -> None:
    events = [note(rig, f"n{number}") for number in range(1200)]
    listener = listen("/api/v1/stream?topics=events", Last_Event_ID=str(events[99].id))

    for number in range(1200, 1300):
        note(rig, f"n{number}")

    assert reasons([listener.next() for _ in range(1200)]) == [f"n{number}" for number in range(100, 1300)]


@pytest.mark.parametrize("last_id", ["999999", "9" * 18])
def test_an_id_that_is_not_known_is_answered_with_a_reset(rig: Rig, listen: Any, last_id: str) -> None:
    event = note(rig, "only")
    listener = listen("/api/v1/stream?topics=events", Last_Event_ID=last_id)

    assert listener.next() == {"event": "reset", "data": {"last_id": event.id}}


@pytest.mark.parametrize("last_id", ["", "x", "-1", "9" * 40, "²"])
def test_an_id_that_is_none_is_taken_for_no_id(rig: Rig, listen: Any, last_id: str) -> None:
    note(rig, "before")
    listener = listen("/api/v1/stream?topics=events", Last_Event_ID=last_id.encode().decode("latin-1"))
    wait_until(lambda: rig.app.state.streams.clients == 1)

    note(rig, "after")

    assert listener.next()["data"]["reason"] == "after"


def test_events_alone_can_be_followed_by_container_and_type(rig: Rig, listen: Any) -> None:
    first = note(rig, "before")
    listener = listen(
        f"/api/v1/events?container=web&type=note,container.exit&after={first.id - 1}",
        Accept="text/event-stream",
    )
    wait_until(lambda: rig.app.state.streams.clients == 1)

    note(rig, "elsewhere", container="other")
    note(rig, "another type", type="limit.change")
    note(rig, "mine", type="container.exit")

    assert reasons([listener.next(), listener.next()]) == ["before", "mine"]


def test_a_slow_client_loses_its_oldest_frames_and_is_told_how_many() -> None:
    async def scene() -> list[bytes]:
        client = Client(frozenset({"events"}))
        for number in range(100):
            client.put(b"%d\n\n" % number)
        return (await client.take()).split(b"\n\n")

    gap, *frames, _ = asyncio.run(scene())

    assert gap == b'event: gap\ndata: {"dropped":36}'
    assert frames == [b"%d" % number for number in range(36, 100)]


def test_a_frame_is_one_line_of_data_whatever_it_holds(rig: Rig) -> None:
    event = note(rig, "a\nb\r\n\ndata: forged\u2028</script>")

    frame = event_frame(event)

    assert frame.count(b"\n") == 4
    assert frame.isascii()
    assert sse("x", {}).startswith(b"event: x\ndata: {}")


def test_frames_are_made_once_however_many_listen(rig: Rig, listen: Any) -> None:
    rig.launcher.add("web")
    listeners = [listen("/api/v1/stream?topics=containers") for _ in range(5)]
    rig.monitor.sweep()

    frames = [listener.next()["data"] for listener in listeners]

    assert all(frame == frames[0] for frame in frames)
    assert list(rig.app.state.streams.frames) == ["containers"]


def test_a_listener_who_leaves_is_forgotten(rig: Rig) -> None:
    listener = Listener(rig, "/api/v1/stream?topics=events")
    assert rig.app.state.streams.clients == 1

    listener.close()

    wait_until(lambda: rig.app.state.streams.clients == 0)


# --- pages


def test_pages_go_on_where_the_last_one_ended(rig: Rig) -> None:
    ids = [note(rig, f"n{number}").id for number in range(5)]

    first = rig.get("/api/v1/events?after=0&limit=3").json
    second = rig.get(f"/api/v1/events?after={first['last_id']}&limit=3").json
    third = rig.get(f"/api/v1/events?after={second['last_id']}").json

    assert [event["id"] for event in first["events"] + second["events"]] == ids
    assert third == {"events": [], "last_id": ids[-1]}


def test_without_an_id_the_newest_are_told_oldest_first(rig: Rig) -> None:
    ids = [note(rig, f"n{number}").id for number in range(5)]

    assert [event["id"] for event in rig.get("/api/v1/events?limit=2").json["events"]] == ids[-2:]
    assert [event["id"] for event in rig.get("/api/v1/events?limit=2&newest=true").json["events"]] == ids[-2:]


def test_pages_are_filtered_by_container_and_type(rig: Rig) -> None:
    note(rig, "a", container="other")
    note(rig, "b", type="limit.change")
    note(rig, "c")

    told = rig.get("/api/v1/events?container=web&type=note").json

    assert [event["reason"] for event in told["events"]] == ["c"]
    assert told["events"][0]["actor"] == {"kind": "operator", "name": "root"}
