"""Profiles in docker's format: what is accepted, what is refused and where, what is kept on disk."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import BadSpec
from launcher.scene.capabilities import DEFAULT, NUMBERS
from launcher.seccomp import Filters, library, parse_profile, read_default
from launcher.seccomp.compiling import compile_profile
from launcher.seccomp.filters import read_program, write_program
from launcher.seccomp.profile import COMPARISONS

KERNEL = (6, 1)
RULE = {"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}
ARGUMENT = {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}


def profile(*rules: object, **top: object) -> dict[str, Any]:
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **top}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "seccomp.defaultAction: is required"),
        ({"defaultAction": "ALLOW"}, "seccomp.defaultAction: 'ALLOW' is none of SCMP_ACT_KILL, "),
        (profile(default_action=1), "seccomp: 'default_action' is not a key of a seccomp profile"),
        (profile(RULE, {}), "seccomp.syscalls[1].names: is required"),
        (profile({"names": ["chmod"]}), "seccomp.syscalls[0].action: is required"),
        (profile({**RULE, "exclude": {}}), "seccomp.syscalls[0]: 'exclude' is not a key"),
        (profile({**RULE, "names": "chmod"}), "seccomp.syscalls[0].names: must be a list"),
        (profile({**RULE, "names": ["a b"]}), "seccomp.syscalls[0].names[0]: 'a b' is not the name"),
        (profile({**RULE, "errnoRet": 5000}), "seccomp.syscalls[0].errnoRet: must be a whole number"),
        (profile({**RULE, "errno": "OOPS"}), "seccomp.syscalls[0].errno: 'OOPS' is not the name of an error"),
        (profile({**RULE, "args": [{}]}), "seccomp.syscalls[0].args[0].index: is required"),
        (
            profile({**RULE, "args": [{**ARGUMENT, "op": "EQ"}]}),
            "seccomp.syscalls[0].args[0].op: 'EQ' is none",
        ),
        (profile({**RULE, "args": [{**ARGUMENT, "index": 6}]}), "seccomp.syscalls[0].args[0].index: must be"),
        (
            profile({**RULE, "args": [{**ARGUMENT, "value": -1}]}),
            "seccomp.syscalls[0].args[0].value: must be",
        ),
        (
            profile({**RULE, "includes": {"caps": ["FLY"]}}),
            "seccomp.syscalls[0].includes.caps[0]: there is no",
        ),
        (
            profile({**RULE, "excludes": {"minKernel": "4"}}),
            "seccomp.syscalls[0].excludes.minKernel: '4' is not",
        ),
        (
            profile({**RULE, "action": "SCMP_ACT_NOTIFY"}),
            "seccomp.syscalls[0].action: SCMP_ACT_NOTIFY is not",
        ),
        (profile(architectures=["SCMP_ARCH_Z80"]), "seccomp.architectures[0]: 'SCMP_ARCH_Z80' is none of"),
        (profile(archMap=[{"architecture": 1}]), "seccomp.archMap[0].architecture: '1' is none of"),
        (profile(flags=["SPEED"]), "seccomp.flags[0]: 'SPEED' is none of"),
        (profile(7), "seccomp.syscalls[0]: must be an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(document: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSpec) as refused:
        parse_profile(document)

    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
def test_a_profile_with_anything_put_in_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = copy.deepcopy(profile({**RULE, "args": [dict(ARGUMENT)], "includes": {"caps": ["CAP_KILL"]}}))
    holders = [document, document["syscalls"][0], document["syscalls"][0]["args"][0]]
    holder = data.draw(st.sampled_from(holders))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(JSON)

    try:
        parse_profile(document)
    except BadSpec as refused:
        assert "\n" not in str(refused)


def test_entries_go_by_capability_architecture_and_kernel() -> None:
    where = {"caps": ["CAP_SYS_ADMIN"], "arches": ["amd64"], "minKernel": "5.4"}
    entry = parse_profile(profile({**RULE, "includes": where})).entries[0]
    barred = parse_profile(profile({**RULE, "excludes": {"caps": ["SYS_ADMIN"]}})).entries[0]
    admin = frozenset(["SYS_ADMIN"])

    assert entry.applies(admin, "amd64", (5, 4))
    assert not entry.applies(DEFAULT, "amd64", (5, 4))
    assert not entry.applies(admin, "arm64", (5, 4))
    assert not entry.applies(admin, "amd64", (4, 19))
    assert barred.applies(DEFAULT, "amd64", KERNEL)
    assert not barred.applies(admin, "amd64", KERNEL)


def test_names_of_other_kernels_are_passed_over() -> None:
    rules = {"names": ["no_such_call_yet", "chmod"], "action": "SCMP_ACT_ERRNO"}

    assert compile_profile(parse_profile(profile(rules)), DEFAULT, KERNEL) == compile_profile(
        parse_profile(profile(RULE)), DEFAULT, KERNEL
    )


def test_a_profile_that_is_too_large_for_the_kernel_is_refused() -> None:
    rules = [
        {**RULE, "names": ["fcntl"], "args": [{**ARGUMENT, "index": 1, "value": number << 32 | number}]}
        for number in range(1500)
    ]

    with pytest.raises(BadSpec, match=r"seccomp: compiles to [0-9]+ instructions, and the kernel takes 4096"):
        compile_profile(parse_profile(profile(*rules)), DEFAULT, KERNEL)


def test_every_comparison_compiles() -> None:
    for op in COMPARISONS:
        rule = {**RULE, "args": [{**ARGUMENT, "op": op, "valueTwo": 1}]}
        assert compile_profile(parse_profile(profile(rule)), DEFAULT, KERNEL)


def test_our_profile_is_a_correct_one_and_speaks_of_no_call_twice() -> None:
    document = read_default()
    names = [
        name
        for rule in document["syscalls"]
        if "includes" not in rule and "args" not in rule
        for name in rule["names"]
    ]

    assert parse_profile(document).entries
    assert len(names) == len(set(names))
    assert 340 <= len(names) <= 400


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "seccomp"


def test_a_program_is_kept_and_read_back(directory: Path) -> None:
    made = Filters(str(directory)).program("default", DEFAULT)
    [file] = directory.iterdir()
    stamp = file.stat().st_mtime_ns

    assert Filters(str(directory)).program("default", DEFAULT) == made
    assert file.stat().st_mtime_ns == stamp
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "a link"])
def test_a_damaged_program_is_made_anew(directory: Path, damage: str) -> None:
    made = Filters(str(directory)).program("default", DEFAULT)
    [file] = directory.iterdir()
    whole = file.read_bytes()
    if damage == "a link":
        file.rename(directory.parent / "elsewhere")
        file.symlink_to(directory.parent / "elsewhere")
    else:
        file.write_bytes({"cut": whole[:-8], "flipped": whole[:-1] + b"?", "empty": b""}[damage])

    assert Filters(str(directory)).program("default", DEFAULT) == made
    assert file.read_bytes() == whole
    assert not file.is_symlink()


def test_each_set_of_capabilities_has_a_program_of_its_own(directory: Path) -> None:
    filters = Filters(str(directory))

    with_admin = filters.program("default", DEFAULT | {"SYS_ADMIN"})

    assert with_admin != filters.program("default", DEFAULT)
    assert filters.program("default", frozenset(NUMBERS)) != with_admin
    assert len(list(directory.iterdir())) == 3


def test_a_directory_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert Filters(str(tmp_path / "file" / "seccomp")).program("default", DEFAULT)[0]


def test_unconfined_is_no_program(directory: Path) -> None:
    assert Filters(str(directory)).program("unconfined", DEFAULT) == (b"", 0)
    assert not directory.exists()


def test_only_what_was_written_is_read(tmp_path: Path) -> None:
    write_program(tmp_path / "x.bpf", b"12345678")
    assert read_program(tmp_path / "x.bpf") == b"12345678"
    write_program(tmp_path / "x.bpf", b"1234567")  # no whole instruction
    assert read_program(tmp_path / "x.bpf") is None
    assert read_program(tmp_path / "y.bpf") is None


def test_libseccomp_tells_its_version() -> None:
    assert library.read_version().startswith("2.")


def test_the_spawner_knows_nothing_of_compiling() -> None:
    """What it imports, every supervisor and every container's first process carries along."""
    look = "import sys, launcher.beside.forkserver; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    known = {name for name in done.stdout.split() if name.startswith("launcher.")}
    assert "launcher.scene.confinement" in known
    assert not known & {"launcher.seccomp", "launcher.apparmor", "launcher.confiner"}
