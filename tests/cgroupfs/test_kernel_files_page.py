"""The table of fields against the page, the readers of both interfaces, and the fields that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cgroupfs import LIMIT_FIELDS, Cgroup, ParseError
from cgroupfs.cgroup import SlowStats
from cgroupfs.fields import FileName, parse_fields, read_fields, render_tables
from cgroupfs.mounts import Place
from cgroupfs.readers import choose_readers

PAGE = (Path(__file__).parents[2] / "docs/kernel-files.md").read_text(encoding="utf-8")
OF_V1 = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "blkio",
    "devices",
    "freezer",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
)
OF_V2 = ("cpu", "cpuset", "memory", "blkio", "pids", "hugetlb", "misc", "rdma", "unified")
BOTH = ("misc", "rdma")
# What the document says of the group itself, and what it repeats under shorter names.
NO_FIELDS = {"path", "inode", "paths", "procs"}
SHORTER = {"memory_peak_bytes", "memory_limit_hits", "memory_high_hits", "memory_low_hits", "pids_peak"} | {
    "pids_limit_hits",
    "numa",
    "hugetlb",
    "freezer",
}


def files_of_the_readers(*kinds: Mapping[str, str]) -> set[FileName]:
    found: set[FileName] = set()
    for kind in kinds:
        readers = choose_readers({name: Place(name, kind[name], f"/cg/{name}") for name in kind})
        found |= {
            FileName(controller, file)
            for controller, files in readers.files().items()
            if controller in kind
            for file in files
        }
    return found


def test_the_readers_of_the_older_interface_use_the_files_of_the_table_and_no_others() -> None:
    alone = dict.fromkeys((*OF_V1, *BOTH), "v1")

    used = files_of_the_readers(alone, alone | {"unified": "v2"})

    assert {name for field in read_fields() for name in field.v1} == used


def test_the_readers_of_the_unified_tree_use_the_files_of_the_table_and_no_others() -> None:
    used = files_of_the_readers(dict.fromkeys(OF_V2, "v2"))

    assert {name for field in read_fields() for name in field.v2} == used


def test_the_page_shows_the_table() -> None:
    missing = [area for area, table in render_tables(read_fields()) if f"## {area}\n\n{table}\n" not in PAGE]

    assert missing == [], "these tables of docs/kernel-files.md differ from cgroupfs/fields.txt"


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from leaves(value[0], path)
    else:
        yield path


def is_named(path: tuple[str, ...]) -> bool:
    """Is a leaf of the document a field of the table? Nodes, page sizes and resources between are skipped."""
    area, *keys = path
    names = {tuple(name.split(".")) for field in read_fields() if field.area == area for name in field.names}
    return any(
        set(name) <= set(keys) or (name[-1].endswith("*") and keys[-1].startswith(name[-1][:-1]))
        for name in names
    )


def test_every_field_of_the_document_is_in_the_table(web: Cgroup) -> None:
    document = {
        key: value for key, value in web.read_all().items() if key not in NO_FIELDS and value is not None
    }

    assert [path for path in leaves(document) if path[-1] != "device" and not is_named(path)] == []


def test_every_limit_and_every_slower_number_is_in_the_table() -> None:
    named = {name for field in read_fields() for name in field.names}

    assert set(LIMIT_FIELDS) - named == set()
    assert set(SlowStats._fields) - named - SHORTER == set()


def test_every_row_says_all_that_a_reader_wants_to_know() -> None:
    for field in read_fields():
        assert field.unit not in ("", "-")
        assert field.since
        assert field.absent
        # Where one interface has no file, the row says that the field is absent there.
        if field.v1 and not field.v2 and field.area not in ("devices",):
            assert "v2" in field.absent, field
        if field.v2 and not field.v1:
            assert "v1" in field.absent, field


@pytest.mark.parametrize("row", ["[cpu]\na | b", "a | b | c | d | e | f | g"])
def test_a_malformed_table_is_a_parse_error(row: str) -> None:
    with pytest.raises(ParseError, match=r"fields\.txt"):
        parse_fields(row)
