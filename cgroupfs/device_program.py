"""Device rules as a program of the kernel's virtual machine, and back: pure, it calls nothing.

The program gets three numbers: kind and access in one, major, minor. It answers 1 to allow. Rules are tried
from the last to the first, and what no rule names is denied. An allowing rule must cover the whole request, a
denying one only part of it. Of the form alone which `assemble` gives, `disassemble` makes rules again.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from cgroupfs.device_rules import DeviceRule, merge

# Opcodes, named as the kernel names them; all 64 bits wide, as some kernels add instructions to 32-bit ones.
_LDX_W, _AND, _RSH, _MOV_REG, _MOV, _JNE, _JNE_REG, _JEQ, _EXIT = (
    0x61,
    0x57,
    0x77,
    0xBF,
    0xB7,
    0x55,
    0x5D,
    0x15,
    0x95,
)
_ANSWER, _CONTEXT, _KIND, _ACCESS, _MAJOR, _MINOR = range(6)  # registers
_SCRATCH: Final = _CONTEXT  # no longer needed once all is loaded
_KINDS: Final = {"b": 1, "c": 2}
_BITS: Final = {"m": 1, "r": 2, "w": 4}
_ALL_BITS: Final = 7


class Instruction(NamedTuple):
    """One instruction; `offset` of a jump counts from the next one."""

    opcode: int
    to: int = 0
    source: int = 0
    offset: int = 0
    number: int = 0


_START: Final = (
    Instruction(_LDX_W, _KIND, _CONTEXT, 0),
    Instruction(_AND, _KIND, number=0xFFFF),
    Instruction(_LDX_W, _ACCESS, _CONTEXT, 0),
    Instruction(_RSH, _ACCESS, number=16),
    Instruction(_LDX_W, _MAJOR, _CONTEXT, 4),
    Instruction(_LDX_W, _MINOR, _CONTEXT, 8),
)
_END: Final = (Instruction(_MOV, _ANSWER, number=0), Instruction(_EXIT))


def assemble(rules: Sequence[DeviceRule]) -> bytes:
    """The program of `rules`, of which later ones count more."""
    program = list(_START)
    for rule in reversed(merge(rules)):
        tests = _tests(rule)
        program += [*_aimed(tests), Instruction(_MOV, _ANSWER, number=int(rule.allow)), Instruction(_EXIT)]
        if not tests:  # it matches everything: the kernel refuses what could never be reached
            return _encode(program)
    return _encode([*program, *_END])


def disassemble(code: bytes) -> tuple[DeviceRule, ...] | None:
    """The rules of a program that `assemble` made; None if it is of another form."""
    program = _decode(code)
    if tuple(program[: len(_START)]) != _START:
        return None
    at, rules = len(_START), list[DeviceRule]()
    while at < len(program) and tuple(program[at:]) != _END:
        until = next((i for i in range(at, len(program)) if program[i].opcode == _EXIT), None)
        rule = None if until is None else _read_rule(program[at : until + 1])
        if rule is None or until is None:
            return None
        rules.insert(0, rule)
        at = until + 1
    return tuple(rules)


def _tests(rule: DeviceRule) -> list[Instruction]:
    """Instructions that leave the rule where the request is another; jumps are aimed later."""
    tests = []
    if rule.kind != "a":
        tests.append(Instruction(_JNE, _KIND, number=_KINDS[rule.kind]))
    bits = sum(_BITS[letter] for letter in set(rule.access))
    if bits != _ALL_BITS:
        tests += [
            Instruction(_MOV_REG, _SCRATCH, _ACCESS),
            Instruction(_AND, _SCRATCH, number=bits),
            Instruction(_JNE_REG, _SCRATCH, _ACCESS) if rule.allow else Instruction(_JEQ, _SCRATCH, number=0),
        ]
    for register, number in ((_MAJOR, rule.major), (_MINOR, rule.minor)):
        if number is not None:
            tests.append(Instruction(_JNE, register, number=number))
    return tests


def _aimed(tests: Sequence[Instruction]) -> list[Instruction]:
    """Every jump goes behind the answer and the exit that follow the tests."""
    jumps = (_JNE, _JNE_REG, _JEQ)
    return [
        test._replace(offset=len(tests) - 1 - at + 2) if test.opcode in jumps else test
        for at, test in enumerate(tests)
    ]


def _read_rule(part: Sequence[Instruction]) -> DeviceRule | None:
    """The rule of a part that ends in an answer and an exit: guessed, and right if it gives the same part."""
    tests, answer = part[:-2], part[-2] if len(part) > 1 else Instruction(0)
    numbers = {test.to: test.number for test in tests if test.opcode == _JNE}
    bits = next((test.number for test in tests if test.opcode == _AND), _ALL_BITS)
    kinds = {number: kind for kind, number in _KINDS.items()}
    rule = DeviceRule(
        answer.number == 1,
        kinds.get(numbers.get(_KIND, 0), "a"),
        numbers.get(_MAJOR),
        numbers.get(_MINOR),
        "".join(letter for letter in "rwm" if bits & _BITS[letter]),
    )
    same = [*_aimed(_tests(rule)), Instruction(_MOV, _ANSWER, number=int(rule.allow)), Instruction(_EXIT)]
    return rule if same == list(part) else None


def _encode(program: Sequence[Instruction]) -> bytes:
    return b"".join(
        struct.pack("=BBhi", each.opcode, _registers(each), each.offset, each.number) for each in program
    )


def _registers(each: Instruction) -> int:
    return each.to | each.source << 4 if sys.byteorder == "little" else each.to << 4 | each.source


def _decode(code: bytes) -> list[Instruction]:
    whole = code[: len(code) // 8 * 8]
    program = []
    for opcode, registers, offset, number in struct.iter_unpack("=BBhi", whole):
        low, high = registers & 15, registers >> 4
        to, source = (low, high) if sys.byteorder == "little" else (high, low)
        program.append(Instruction(opcode, to, source, offset, number))
    return program
