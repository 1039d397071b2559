"""Device rules as a program of the unified tree, on a real kernel: beside a v1 list as well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cgroupfs import Cgroup, CgroupGone, DeviceRule, Hierarchies, NotOffered, Refused, Write, bpf
from cgroupfs.device_program import assemble
from cgroupfs.devices import PROGRAM, PROGRAM_NAME, DevicesV2
from cgroupfs.plan import read_value

pytestmark = pytest.mark.kernel

NULL = DeviceRule(True, "c", 1, 3, "rwm")
ZERO = DeviceRule(True, "c", 1, 5, "r")
MAKE_ANY = DeviceRule(True, "c", None, None, "m")
NOT_FULL = DeviceRule(False, "c", 1, 7, "w")

TRY = """
import os
for path, flags in (("/dev/null", os.O_RDWR), ("/dev/zero", os.O_RDONLY), ("/dev/zero", os.O_RDWR)):
    try:
        os.close(os.open(path, flags))
        print("y", end="")
    except PermissionError:
        print("n", end="")
"""


def put(cgroup: Cgroup, rules: list[DeviceRule]) -> None:
    cgroup.apply(DevicesV2().plan_rules(cgroup.dirs, rules))


def tried(cgroup: Cgroup) -> str:
    """What a process in the group may open: /dev/null, /dev/zero for reading, and for both."""
    fd = os.open(f"{cgroup.paths()['unified']}/cgroup.procs", os.O_WRONLY)
    try:
        code = f"import os\nos.write({fd}, b'0')\n{TRY}"
        return subprocess.run(
            [sys.executable, "-c", code], pass_fds=[fd], capture_output=True, text=True
        ).stdout
    finally:
        os.close(fd)


@pytest.fixture
def foreign(real: Cgroup) -> Iterator[int]:
    """A program of somebody else that is attached to the same group."""
    program = bpf.load(assemble([DeviceRule(True, "a", None, None, "rwm")]), "somebody")
    with real.dirs["unified"].held() as directory:
        bpf.attach(directory, program)
    yield program
    os.close(program)


def test_rules_hold_and_are_read_back(real: Cgroup) -> None:
    assert DevicesV2().read_rules(real.dirs) is None

    put(real, [NULL, MAKE_ANY, ZERO, NOT_FULL])

    assert DevicesV2().read_rules(real.dirs) == (NULL, MAKE_ANY, ZERO, NOT_FULL)
    assert tried(real) == "yyn"


def test_no_rule_at_all_denies_every_device(real: Cgroup) -> None:
    put(real, [])

    assert tried(real) == "nnn"


def test_rules_are_replaced_in_one_step_and_never_pile_up(real: Cgroup) -> None:
    put(real, [NULL])
    put(real, [NULL, ZERO])

    with real.dirs["unified"].held() as directory:
        assert len(bpf.query(directory)) == 1
    assert tried(real) == "yyn"


def test_the_same_rules_again_are_no_write(real: Cgroup) -> None:
    put(real, [NULL, ZERO])

    assert DevicesV2().plan_rules(real.dirs, [NULL, ZERO]) == []


def test_a_plan_that_fails_later_leaves_the_old_rules(real: Cgroup) -> None:
    put(real, [NULL])
    plan = DevicesV2().plan_rules(real.dirs, [ZERO])

    with pytest.raises(Refused):
        real.apply([*plan, Write("pids", "pids.max", "-1")])

    assert DevicesV2().read_rules(real.dirs) == (NULL,)


def test_the_first_rules_are_undone_by_taking_the_program_away(real: Cgroup) -> None:
    plan = DevicesV2().plan_rules(real.dirs, [])

    with pytest.raises(Refused):
        real.apply([*plan, Write("pids", "pids.max", "-1")])

    assert DevicesV2().read_rules(real.dirs) is None
    assert tried(real) == "yyy"


def test_a_program_of_somebody_else_stays_and_is_not_ours(real: Cgroup, foreign: int) -> None:
    theirs = bpf.read_program(foreign)

    put(real, [NULL])

    with real.dirs["unified"].held() as directory:
        attached = bpf.query(directory)
    assert theirs.id in attached
    assert {name_of(program) for program in attached} == {"somebody", PROGRAM_NAME}
    assert tried(real) == "ynn"


def name_of(program_id: int) -> str:
    with bpf.opened(program_id) as fd:
        return bpf.read_program(fd).name


def test_a_child_group_is_held_to_its_parents_rules(hierarchies: Hierarchies, real: Cgroup) -> None:
    put(real, [NULL])
    child = hierarchies.create(f"{real.path}/child")

    put(child, [NULL, ZERO])

    assert tried(child) == "ynn"
    with child.dirs["unified"].held() as directory:
        assert len(bpf.query(directory, effective=True)) == 2


def test_a_removed_cgroup_is_gone_for_programs_too(hierarchies: Hierarchies, real: Cgroup) -> None:
    plan = DevicesV2().plan_rules(real.dirs, [NULL])
    hierarchies.remove(real.path)

    with pytest.raises(CgroupGone):
        real.apply(plan)


def test_a_directory_that_is_no_cgroup_offers_no_programs(captured: Hierarchies) -> None:
    web = captured.cgroup("/cgwarden/web")

    assert DevicesV2().read_rules(web.dirs) is None
    with pytest.raises(NotOffered):
        read_value(web.dirs, Write("unified", PROGRAM, ""))
    with pytest.raises(NotOffered):
        web.apply([Write("unified", PROGRAM, "deny a")])
