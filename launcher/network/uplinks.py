"""Which devices lead out of the host, read from a file: it is asked before each network, and a dump of all
links would cost more with every container.
"""

from __future__ import annotations

from typing import Final

NOWHERE: Final = "00000000"
USABLE: Final = 0x1
REFUSES: Final = 0x200
"""Flags of a route (RTF_UP, RTF_REJECT)."""


def read_uplinks() -> set[str]:
    """The devices of the default routes, in the calling thread's namespace."""
    with open("/proc/thread-self/net/route", encoding="ascii", errors="replace") as file:
        return parse_uplinks(file.read())


def parse_uplinks(table: str) -> set[str]:
    """/proc/net/route: `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, numbers hexadecimal;
    damaged lines are passed over.
    """
    found = set()
    for line in table.splitlines()[1:]:
        field = line.split()
        if len(field) > 7 and field[1] == field[7] == NOWHERE and _is_usable(field[3]):
            found.add(field[0])
    return found


def _is_usable(flags: str) -> bool:
    try:
        return int(flags, 16) & (USABLE | REFUSES) == USABLE
    except ValueError:
        return False
