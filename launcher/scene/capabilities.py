"""Linux capabilities by name and number, and the set that a container starts with."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.errors import BadSpec

# include/uapi/linux/capability.h; the position is the number.
NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
NUMBERS = {name: number for number, name in enumerate(NAMES)}

# docker's list without AUDIT_WRITE, MKNOD and NET_RAW (containers/common f39f2a3f).
DEFAULT = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)


def parse_capability(text: str, field: str) -> str:
    """`NET_RAW`, `net_raw` and `CAP_NET_RAW` are the same; an unknown name is an error, never ignored."""
    name = text.upper().removeprefix("CAP_")
    if name != "ALL" and name not in NUMBERS:
        raise BadSpec(field, f"there is no capability {text!r}")
    return name


def plan_capabilities(add: Iterable[str], drop: Iterable[str]) -> frozenset[str]:
    """The names a container holds: the default set, then drops, then additions: `drop ALL, add X` is X."""
    add, drop = set(add), set(drop)
    held = frozenset() if "ALL" in drop else DEFAULT - drop
    return frozenset(NUMBERS) - (drop - {"ALL"}) if "ALL" in add else held | add


def plan_ambient(add: Iterable[str], drop: Iterable[str]) -> frozenset[str]:
    """What a user other than root holds: the names that were added, and no other; they survive execve."""
    add = set(add)
    return frozenset(NUMBERS) - set(drop) if "ALL" in add else frozenset(add)


def capability_mask(names: Iterable[str]) -> int:
    """As the kernel takes it: bit n for capability number n."""
    return sum(1 << NUMBERS[name] for name in names)
