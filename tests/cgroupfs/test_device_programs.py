"""Device rules as programs: run on a machine of a few lines, they decide as the rules say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgroupfs import BadLimit, DeviceRule
from cgroupfs.device_program import assemble, disassemble
from cgroupfs.device_rules import check_rule, format_rules, merge, parse_rules

BITS = {"m": 1, "r": 2, "w": 4}
KINDS = {"b": 1, "c": 2}
NUMBERS = st.sampled_from([0, 1, 3, 8, 0x7FFFFFFF])
ACCESS = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
RULES = st.lists(
    st.builds(
        DeviceRule, st.booleans(), st.sampled_from("bc"), st.none() | NUMBERS, st.none() | NUMBERS, ACCESS
    )
    | st.builds(DeviceRule, st.booleans(), st.just("a"), st.none(), st.none(), st.just("rwm")),
    max_size=6,
)


def run(code: bytes, kind: str, access: str, major: int, minor: int) -> bool:
    """What the kernel's virtual machine would answer."""
    context = (sum(BITS[letter] for letter in access) << 16 | KINDS[kind], major, minor)
    registers, program, at = [0] * 11, list(struct.iter_unpack("<BBhi", code)), 0
    while True:
        opcode, both, offset, number = program[at]
        to, source, at = both & 15, both >> 4, at + 1
        if opcode == 0x61:
            registers[to] = context[offset // 4]
        elif opcode == 0x57:
            registers[to] &= number
        elif opcode == 0x77:
            registers[to] >>= number
        elif opcode == 0xBF:
            registers[to] = registers[source]
        elif opcode == 0xB7:
            registers[to] = number
        elif opcode == 0x95:
            return registers[0] == 1
        else:
            jumps = {0x55: registers[to] != number, 0x5D: registers[to] != registers[source]}
            at += offset if (jumps | {0x15: registers[to] == number})[opcode] else 0


def decide(rules: list[DeviceRule], kind: str, access: str, major: int, minor: int) -> bool:
    """The rules in words: the last that fits decides; allowing takes all of the access, denying a part."""
    for rule in reversed(rules):
        named = rule.kind in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor)
        wanted = set(access)
        if named and (wanted <= set(rule.access) if rule.allow else wanted & set(rule.access)):
            return rule.allow
    return False


@settings(max_examples=300)
@given(rules=RULES, kind=st.sampled_from("bc"), access=ACCESS, major=NUMBERS, minor=NUMBERS)
def test_a_program_decides_as_its_rules_do(
    rules: list[DeviceRule], kind: str, access: str, major: int, minor: int
) -> None:
    assert run(assemble(rules), kind, access, major, minor) == decide(
        merge(rules), kind, access, major, minor
    )


@given(rules=RULES)
def test_rules_come_back_out_of_their_program(rules: list[DeviceRule]) -> None:
    found = disassemble(assemble(rules))

    assert found is not None
    assert assemble(found) == assemble(rules)
    assert parse_rules(format_rules(found)) == found


@given(code=st.binary(), at=st.integers(0, 40), junk=st.binary(min_size=1, max_size=8))
def test_a_program_of_another_form_has_no_rules(code: bytes, at: int, junk: bytes) -> None:
    ours = assemble([DeviceRule(True, "c", 1, 3, "rw"), DeviceRule(False, "b", 8, None, "w")])
    damaged = ours[: at * 8] + junk + ours[at * 8 + len(junk) :]

    assert disassemble(code) is None
    found = disassemble(damaged)
    assert found is None or assemble(found) == damaged[: len(damaged) // 8 * 8]


def test_a_program_without_an_end_has_no_rules() -> None:
    assert disassemble(assemble([])[: 6 * 8] + bytes(8)) is None
    assert disassemble(assemble([])[: 6 * 8]) == ()


def test_access_that_is_allowed_in_parts_is_allowed_as_a_whole() -> None:
    read, write = (DeviceRule(True, "c", 1, 3, access) for access in "rw")
    denied = DeviceRule(False, "c", 1, 3, "m")

    assert merge([read, write]) == [DeviceRule(True, "c", 1, 3, "rw")]
    assert merge([read, denied, write]) == [read, denied, write]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (DeviceRule(True, "x", None, None, "r"), "not a, b or c"),
        (DeviceRule(True, "c", 1, 3, ""), "not made of r, w and m"),
        (DeviceRule(True, "c", 1, 3, "rx"), "not made of r, w and m"),
        (DeviceRule(True, "c", -1, 3, "r"), "no device can have"),
        (DeviceRule(True, "a", 1, None, "rwm"), "covers all numbers"),
    ],
)
def test_a_rule_that_no_kernel_could_take_is_refused_in_words(rule: DeviceRule, why: str) -> None:
    with pytest.raises(BadLimit, match=why):
        check_rule(rule)
