"""From a profile to the program that the kernel loads."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from launcher.errors import BadSpec
from launcher.seccomp import library
from launcher.seccomp.profile import ALLOW, ERRNO, LOG, Condition, Entry, Profile

MOST_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS
INSTRUCTION_BYTES: Final = 8
# How docker spells the architectures in `includes` and `excludes`.
DOCKER_NAMES: Final = {0xC000003E: "amd64", 0x40000003: "x86", 0xC00000B7: "arm64", 0x40000028: "arm"}
X32: Final = 0x4000003E
X32_BIT: Final = 0x40000000
X86: Final = 0x40000003
SOCKETCALL: Final = 102  # on 32-bit x86, where its first argument 1 makes a socket

# include/uapi/linux/bpf_common.h: load a word, jump always, jump if equal, if greater, return.
_LD_WORD: Final = 0x20
_JA: Final = 0x05
_JEQ: Final = 0x15
_JGT: Final = 0x25
_RET: Final = 0x06
_OFFSET_NR: Final = 0  # struct seccomp_data
_OFFSET_ARCH: Final = 4
_OFFSET_ARGUMENT: Final = 16


def compile_profile(
    profile: Profile, held: frozenset[str], kernel: tuple[int, int], at: str = "seccomp"
) -> bytes:
    """The BPF program for a container that holds these capabilities, on this architecture and kernel."""
    native = library.native_architecture()
    architectures = profile.architectures.get(native, (native,))
    arch = DOCKER_NAMES.get(native, "")
    with library.new_filter(profile.default_action) as made:
        made.set(library.CTL_NNP, 0)
        made.set(library.CTL_OPTIMIZE, library.BINARY_TREE)
        # A call of an architecture that the profile does not speak of is as good as an unknown call.
        made.set(library.ACT_BADARCH, ERRNO | errno.ENOSYS)
        _add_architectures(made, [other for other in architectures if other != native], at)
        for number, entry in enumerate(profile.entries):
            if entry.action != profile.default_action and entry.applies(held, arch, kernel):
                _add(made, entry, architectures, f"{at}.syscalls[{number}]")
        sockets = _socketcall_prefix(profile, architectures)
        program = _enosys_prefix(profile, architectures) + sockets + made.export()
    count = len(program) // INSTRUCTION_BYTES
    if count > MOST_INSTRUCTIONS:
        raise BadSpec(at, f"compiles to {count} instructions, and the kernel takes {MOST_INSTRUCTIONS}")
    return program


def _add_architectures(made: library.FilterContext, others: Sequence[int], at: str) -> None:
    for other in others:
        try:
            made.add_architecture(other)
        except OSError as e:
            raise BadSpec(
                f"{at}.architectures", f"cannot stand beside this host's own: {e.strerror}"
            ) from None


def _add(made: library.FilterContext, entry: Entry, architectures: Sequence[int], at: str) -> None:
    for name in entry.names:
        # Names of younger kernels, or of other architectures, are passed over as docker does.
        number = library.resolve(architectures[0], name)
        if number == library.UNKNOWN:
            continue
        for conditions in _alternatives(entry.conditions):
            try:
                made.add_rule(entry.action, number, conditions)
            except OSError as e:
                raise BadSpec(at, f"libseccomp refuses the rule for {name}: {e.strerror}") from None


def _alternatives(conditions: tuple[Condition, ...]) -> Iterator[tuple[Condition, ...]]:
    """All must hold together, unless one argument occurs twice: then each stands alone, as in runc."""
    if len({condition.index for condition in conditions}) == len(conditions):
        yield conditions
    else:
        yield from ((condition,) for condition in conditions)


def _enosys_prefix(profile: Profile, architectures: Sequence[int]) -> bytes:
    """Calls younger than the profile answer ENOSYS, so that C libraries fall back (runc's patchbpf).

    The default action's EPERM would end programs that merely try a new call first.
    """
    if profile.default_action in (ALLOW, LOG, ERRNO | errno.ENOSYS):
        return b""
    names = {name for entry in profile.entries for name in entry.names}
    program = []
    for architecture in architectures:
        newest = max((library.resolve(architecture, name) for name in names), default=-1)
        if newest < 0 or architecture == X32:
            continue
        # x32 calls come as calls of x86-64 with this bit; a profile that speaks of them decides itself.
        highest = X32_BIT - 1 if X32 in architectures else 0xFFFFFFFF
        program += [
            _instruction(_LD_WORD, _OFFSET_ARCH),
            _instruction(_JEQ, architecture, 0, 5),
            _instruction(_LD_WORD, _OFFSET_NR),
            _instruction(_JGT, newest, 0, 2),
            _instruction(_JGT, highest, 1, 0),
            _instruction(_RET, ERRNO | errno.ENOSYS),
        ]
        program.append(b"")  # the jump to the filter itself, whose distance is known at the end
    return b"".join(step or _instruction(_JA, len(program) - place - 1) for place, step in enumerate(program))


def _socketcall_prefix(profile: Profile, architectures: Sequence[int]) -> bytes:
    """Where a profile looks at the arguments of socket, the old call that hides them from it is no way round.

    libseccomp allows it along with socket, on whatever condition that was allowed.
    """
    looks = any("socket" in entry.names and entry.conditions for entry in profile.entries)
    free = any("socketcall" in entry.names and not entry.conditions for entry in profile.entries)
    if X86 not in architectures or not looks or free:
        return b""
    return b"".join(
        [
            _instruction(_LD_WORD, _OFFSET_ARCH),
            _instruction(_JEQ, X86, 0, 5),
            _instruction(_LD_WORD, _OFFSET_NR),
            _instruction(_JEQ, SOCKETCALL, 0, 3),
            _instruction(_LD_WORD, _OFFSET_ARGUMENT),
            _instruction(_JEQ, 1, 0, 1),
            _instruction(_RET, profile.default_action),
        ]
    )


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)
