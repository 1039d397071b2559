"""The event log: ids, pages, listeners, and disks that are full or files that are broken."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import Event, EventLog, NewerSchema
from monitor.event_store import MOST_KEPT, EventStore


@contextmanager
def opened(path: Path | None) -> Iterator[EventLog]:
    with closing(EventLog(None if path is None else str(path))) as log:
        yield log


def note(log: EventLog, reason: str = "", container: str | None = None, type: str = "note") -> Event:
    return log.append(type, container=container, actor_kind="operator", actor_name="ann", reason=reason)


def reasons(log: EventLog, **which: object) -> list[str]:
    return [event.reason for event in log.page(**which)]  # type: ignore[arg-type]


def test_ids_go_on_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "events.db") as log:
        first = [note(log).id for _ in range(3)]
    with opened(tmp_path / "events.db") as log:
        after = note(log).id

    assert [*first, after] == [1, 2, 3, 4]


def test_an_event_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path / "events.db") as log:
        event = log.append(
            "limit.change",
            container={"name": "web", "inode": 7},
            actor_kind="policy",
            actor_name="memory-headroom",
            reason="95 % used",
            before={"memory_max_bytes": "max"},
            after={"memory_max_bytes": 4096},
            decision="d-1",
            until="2026-01-01T00:00:00Z",
        )
    with opened(tmp_path / "events.db") as log:
        assert log.page() == [event]


def test_the_wire_form_names_container_and_actor() -> None:
    log = EventLog(None, clock=lambda: 1.5, wall_clock=lambda: 0.0)
    with closing(log):
        wire = note(log, "hello", container="web").to_wire()

    assert (wire["time"], wire["monotonic_usec"]) == ("1970-01-01T00:00:00.000Z", 1_500_000)
    assert wire["container"] == {"name": "web"}
    assert wire["actor"] == {"kind": "operator", "name": "ann"}
    assert wire["before"] is None


def test_a_page_is_the_first_after_an_id_or_the_newest(events: EventLog) -> None:
    for number in range(10):
        note(events, str(number))

    assert reasons(events, after=2, limit=3) == ["2", "3", "4"]
    assert reasons(events, limit=3, newest=True) == ["7", "8", "9"]
    assert reasons(events, after=8, limit=9, newest=True) == ["8", "9"]


def test_a_page_can_be_of_one_container_and_of_some_types(events: EventLog) -> None:
    note(events, "a", container="web", type="container.start")
    note(events, "b", container="db", type="container.start")
    note(events, "c", container="web", type="container.exit")

    assert reasons(events, container="web") == ["a", "c"]
    assert reasons(events, types=["container.exit"]) == ["c"]
    assert reasons(events, container="db", types=["container.exit"]) == []
    assert reasons(events, types=[]) == []


@given(st.integers(-5, 40), st.integers(-5, 40), st.booleans())
def test_pages_never_pass_their_bounds(after: int, limit: int, newest: bool) -> None:
    with opened(None) as log:
        ids = [note(log).id for _ in range(20)]

        page = [event.id for event in log.page(after, limit, newest=newest)]

    wanted = [id for id in ids if id > after]
    number = max(limit, 0)
    assert page == (wanted[max(0, len(wanted) - number) :] if newest else wanted[:number])


def test_listeners_hear_each_event_in_order_until_they_leave(events: EventLog) -> None:
    heard: list[int] = []
    leave = events.subscribe(lambda event: heard.append(event.id))

    note(events)
    note(events)
    leave()
    leave()
    note(events)

    assert heard == [1, 2]


def test_many_threads_share_one_row_of_ids(events: EventLog) -> None:
    heard: list[int] = []
    events.subscribe(lambda event: heard.append(event.id))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: note(events).id, range(200)))

    assert sorted(ids) == heard == list(range(1, 201))


def test_the_log_forgets_what_is_far_back(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with opened(path) as log:
        first = note(log)
        with closing(EventStore(str(path))) as other:
            other.insert([replace(first, id=MOST_KEPT + 499)])
    with opened(path) as log:
        last = note(log)

        assert last.id == MOST_KEPT + 500
        assert [known.id for known in log.page()] == [MOST_KEPT + 499, last.id]


def test_a_full_disk_loses_no_event_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with opened(path) as log:
        note(log, "before")
        fill_disk(log, pages=1)  # as small as it is now

        for number in range(300):
            note(log, "x" * 100 + str(number))

        assert "full" in (log.failure or "")
        assert len(reasons(log, limit=1000)) == 301
        assert reasons(log, limit=1, newest=True) == ["x" * 100 + "299"]

        fill_disk(log, pages=1_000_000)  # somebody made room
        note(log, "after")

        assert log.failure is None
    with opened(path) as log:
        assert [event.id for event in log.page(limit=1000)] == list(range(1, 303))


def fill_disk(log: EventLog, pages: int) -> None:
    log._store._db.execute(f"PRAGMA max_page_count={pages}")


def flip_bytes(path: Path, number: int, seed: int) -> None:
    data, dice = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(number):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_another_table(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE events (something TEXT)")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "rubbish": lambda path: path.write_bytes(b"rubbish" * 1000),
    "a cut file": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "a zero page": lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096)),
    "a directory": replace_by_directory,
    "a table of somebody else": replace_by_another_table,
}


def make_log(path: Path) -> None:
    with opened(path) as log:
        for number in range(50):
            note(log, str(number), container="web")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside_and_the_log_says_so(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "events.db"
    make_log(path)
    DAMAGE[damage](path)

    with opened(path) as log:
        after = note(log, "after")

        told, last = log.page()
    assert told.type == "events.set_aside"
    assert "events.db.corrupt-" in told.reason
    assert (last, last.id) == (after, told.id + 1)
    assert after.id > 51  # above whatever the lost file may have held
    assert log.failure is None
    (kept,) = [name for name in tmp_path.iterdir() if ".corrupt-" in name.name]
    assert str(kept) in told.reason


@pytest.mark.parametrize("seed", range(40))
def test_whatever_bits_a_disk_flips_the_log_opens_and_takes_events(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "events.db"
    make_log(path)
    flip_bytes(path, 1 << seed % 7, seed)

    with opened(path) as log:
        event = note(log, "after")

        assert log.page(after=event.id - 1) == [event]
        assert log.page(newest=True, container="web") is not None


def test_an_empty_file_is_a_new_log(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()

    with opened(tmp_path / "events.db") as log:
        assert note(log).id == 1


def test_damage_found_later_is_set_aside_too_and_ids_go_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with opened(path) as log:
        note(log)
        log._store._db.execute("DROP TABLE events")

        event = note(log, "survives")

        assert event.id == 2
        assert [known.type for known in log.page()] == ["note", "events.set_aside"]


def test_without_a_directory_events_are_kept_in_memory(tmp_path: Path) -> None:
    with opened(tmp_path / "missing" / "events.db") as log:
        note(log, "kept")

        assert reasons(log) == ["kept"]
        assert "until the next start" in (log.failure or "")


def test_a_log_of_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    EventStore(str(path)).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()

    with pytest.raises(NewerSchema, match="later version"):
        EventLog(str(path))

    assert path.read_bytes() == before
