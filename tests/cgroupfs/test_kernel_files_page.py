"""docs/kernel-files.md against the readers: a file that one names and the other does not is a failure."""

from __future__ import annotations

import re
from pathlib import Path

from cgroupfs.mounts import Place
from cgroupfs.readers import choose_readers

PAGE = Path(__file__).parents[2] / "docs/kernel-files.md"
NAMED = re.compile(r"`([a-z_]+):([a-z_]+(?:\.[A-Za-z_]+)+)`")
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "devices", "freezer", "pids", "hugetlb")


def files_of_the_readers(*, unified: bool) -> set[tuple[str, str]]:
    places = {name: Place(name, "v1", f"/sys/fs/cgroup/{name}") for name in CONTROLLERS}
    if unified:
        places["unified"] = Place("unified", "v2", "/sys/fs/cgroup/unified")
    files = choose_readers(places).files()
    return {(controller, file) for controller, names in files.items() for file in names}


def test_the_page_names_the_v1_files_that_are_read_and_no_others() -> None:
    named = set(NAMED.findall(PAGE.read_text()))

    assert named == files_of_the_readers(unified=True) | files_of_the_readers(unified=False)
