from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cgroupfs import UNLIMITED
from enforcer import Journal, JournalFull, JournalUnavailable, NewerJournal
from enforcer.claims import Claim, FieldClaims
from enforcer.failpoints import Failpoints
from enforcer.journal_file import Damaged, check_chain
from enforcer.ledger import Ledger
from enforcer.ledger_rows import Intent, Place
from enforcer.records import fact_body

PLACE = Place("web", "/cgwarden/web", 7, "memory_max_bytes")
INTENT = Intent(
    "web", "/cgwarden/web", 7, "memory_max_bytes", "operator", 2000, UNLIMITED, UNLIMITED, 64, None
)
CLAIMS = FieldClaims(UNLIMITED, (Claim("operator", 2000, 64, None, "d-000001", 1.5),))
Open = Callable[..., Journal]


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Journal] = []

    def open_one(failpoints: Failpoints | None = None, path: Path = tmp_path / "journal.db") -> Journal:
        opened.append(Journal(str(path), failpoints=failpoints))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


def write_some(journal: Journal, count: int = 5) -> Ledger:
    ledger = Ledger(journal)
    for number in range(count):
        recorded = ledger.begin({"target": "web", "outcome": "committed", "n": number}, [INTENT])
        ledger.finish(recorded, fact_body("applied", (), {}), "applied", (), [(PLACE, CLAIMS)])
    return ledger


def test_records_survive_and_later_facts_are_laid_over_them(open_journal: Open) -> None:
    write_some(open_journal(), 2).journal.close()

    ledger = Ledger(open_journal())

    first, second = ledger.decisions(None, 0, 10)
    assert (first["id"], first["outcome"], second["seq"]) == ("d-000001", "applied", 2)
    assert [fact["outcome"] for fact in first["facts"]] == ["applied"]  # type: ignore[attr-defined]
    assert ledger.decision("d-000002") == second
    assert ledger.decision("d-999999") is None
    assert ledger.claims() == [(PLACE, CLAIMS)]
    assert ledger.open_intents() == []


def test_pages_go_forwards_from_a_number_and_begin_with_the_newest(open_journal: Open) -> None:
    ledger = write_some(open_journal(), 5)

    assert [record["seq"] for record in ledger.decisions(None, 0, 2)] == [4, 5]
    assert [record["seq"] for record in ledger.decisions("web", 2, 2)] == [3, 4]
    assert ledger.decisions("other", 0, 2) == []


def test_an_intent_without_an_outcome_is_found_again(open_journal: Open) -> None:
    Ledger(open_journal()).begin({"outcome": "committed"}, [INTENT])

    (found,) = Ledger(open_journal()).open_intents()

    assert (found.field, found.wanted, found.before, found.decision) == ("memory_max_bytes", 64, UNLIMITED, 1)


def test_the_chain_tells_a_changed_record(open_journal: Open, tmp_path: Path) -> None:
    write_some(open_journal()).journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as sql:
        check_chain(sql, "decision")
        sql.execute("UPDATE decision SET body = replace(body, 'web', 'wEb') WHERE seq = 2")

        with pytest.raises(Damaged, match="the chain of decision breaks at 3"):
            check_chain(sql, "decision")


def test_a_full_disk_is_told_before_anything_happens_and_passes(open_journal: Open) -> None:
    ledger = Ledger(open_journal(Failpoints({"journal.before": ("enospc", 1)})))

    with pytest.raises(JournalFull, match="no space left"):
        ledger.begin({"outcome": "committed"}, [INTENT])

    assert ledger.begin({"outcome": "committed"}).id == "d-000001"


def test_an_outcome_that_the_disk_does_not_take_is_recorded_later(open_journal: Open) -> None:
    ledger = Ledger(open_journal(Failpoints({"journal.before": ("enospc", 2)})))
    recorded = ledger.begin({"outcome": "committed"}, [INTENT])
    ledger.finish(recorded, fact_body("applied", (), {}), "applied", (), ())

    other = ledger.begin({"outcome": "committed"}, [INTENT])
    ledger.finish(other, fact_body("applied", (), {}), "applied", (), ())

    assert [record["outcome"] for record in ledger.decisions(None, 0, 9)] == ["applied", "applied"]


def test_outcomes_of_many_at_once_are_each_recorded_once(open_journal: Open) -> None:
    ledger = Ledger(open_journal())

    def write_one(_number: int) -> None:
        recorded = ledger.begin({"outcome": "committed"}, [INTENT])
        ledger.finish(recorded, fact_body("applied", (), {}), "applied", (), ())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_one, range(40)))

    records = ledger.decisions(None, 0, 99)
    assert [(record["outcome"], len(record["facts"])) for record in records] == [("applied", 1)] * 40  # type: ignore[arg-type]


def test_a_job_that_is_wrong_by_itself_does_not_hurt_its_neighbours(open_journal: Open) -> None:
    journal = open_journal()

    def wrong(sql: sqlite3.Connection) -> None:
        sql.execute("INSERT INTO meta VALUES ('schema', '2')")

    bad = journal.submit(wrong)
    good = journal.submit(lambda sql: sql.execute("SELECT 1").fetchone()[0])

    assert isinstance(bad.exception(), sqlite3.IntegrityError)
    assert good.result() == 1


def test_a_newer_journal_is_refused_and_left_as_it_is(open_journal: Open, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write_some(open_journal()).journal.close()
    with sqlite3.connect(path) as sql:
        sql.execute("UPDATE meta SET value = '9' WHERE key = 'schema'")
        sql.execute("PRAGMA user_version = 9")

    with pytest.raises(NewerJournal, match="has schema 9, written by a newer cgwarden"):
        Journal(str(path))

    assert list(tmp_path.glob("*.corrupt-*")) == []


def flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 64)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def zero_page(data: bytearray, chance: random.Random) -> bytearray:
    page = chance.randrange(len(data) // 4096) * 4096
    data[page : page + 4096] = bytes(4096)
    return data


def rubbish_header(data: bytearray, chance: random.Random) -> bytearray:
    data[:100] = chance.randbytes(100)
    return data


def one_text_changed(data: bytearray, chance: random.Random) -> bytearray:
    start = data.find(b'"outcome":"committed"', chance.randrange(len(data) // 2))
    data[start + 12 : start + 16] = chance.randbytes(4)
    return data


DAMAGES = [flip, cut, zero_page, rubbish_header, one_text_changed]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_journal_never_keeps_the_daemon_from_starting(
    damage: Callable[[bytearray, random.Random], bytearray], seed: int, sound: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(damage(bytearray(sound), random.Random(seed)))

    journal = Journal(str(path))
    ledger = Ledger(journal)
    recorded = ledger.begin({"target": "web", "outcome": "committed"}, [INTENT])
    ledger.claims(), ledger.open_intents(), ledger.decisions(None, 0, 100)
    journal.close()

    assert recorded.seq in (1, 21)
    assert journal.set_aside is None or Path(journal.set_aside).exists()
    assert (journal.set_aside is None) == (recorded.seq == 21) or len(path.read_bytes()) == 0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a journal with twenty records."""
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    write_some(journal := Journal(str(path)), 20)
    journal.close()
    return path.read_bytes()


def test_an_empty_file_is_a_new_journal(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()

    assert Ledger(open_journal()).begin({}).seq == 1


def test_a_directory_in_its_place_is_set_aside(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()

    journal = open_journal()

    assert Ledger(journal).begin({}).seq == 1
    assert journal.set_aside is not None
    assert Path(journal.set_aside).is_dir()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "cgwtest", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.kernel
def test_a_real_full_disk_refuses_and_recovers(tiny_disk: Path) -> None:
    journal = Journal(str(tiny_disk / "journal.db"))
    ledger = write_some(journal, 3)
    filler = tiny_disk / "filler"
    fill(filler)

    with pytest.raises(JournalFull):
        for _ in range(200):
            ledger.begin({"target": "web", "text": "x" * 4000}, [INTENT])
    filler.unlink()
    recorded = ledger.begin({"target": "web"}, [INTENT])

    assert recorded.seq == len(ledger.decisions(None, 0, 1000))
    journal.close()
    with sqlite3.connect(tiny_disk / "journal.db") as sql:
        assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sql.close()


@pytest.mark.kernel
def test_a_journal_on_a_full_disk_starts_and_works_once_there_is_room(tiny_disk: Path) -> None:
    filler = tiny_disk / "filler"
    fill(filler)
    journal = Journal(str(tiny_disk / "journal.db"))
    ledger = Ledger(journal)

    with pytest.raises(JournalUnavailable):
        ledger.begin({})
    assert not journal.healthy()
    filler.unlink()

    assert ledger.begin({}).seq == 1
    assert journal.healthy()
    journal.close()


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue
