"""Making v1 count disk traffic: newer kernels count a disk's only once a throttle was written for it.

Since Linux kernel commit a3166c51702b ("blk-throttle: delay initialization until configuration") (in v6.10)
the throttle layer, which does the counting for v1, is off for each disk until somebody names it. Taking away
a throttle that is not there names it, and changes nothing else.
"""

from __future__ import annotations

import contextlib
from typing import Final

from cgroupfs.errors import CgroupGone, NotOffered, Refused
from cgroupfs.files import ControlDir
from cgroupfs.host import Host

FILE: Final = "blkio.throttle.read_bps_device"


def begin_counting(group: ControlDir, host: Host, known: set[str]) -> None:
    """Have the traffic of all disks counted that are not in `known` yet, and add them to it.

    `group` must be new, as a throttle that it had would be taken away. A disk without throttles stays out.
    """
    for name, device in host.read_disks(known).items():
        with contextlib.suppress(CgroupGone, NotOffered, Refused):
            group.write(FILE, f"{device} 0")
        known.add(name)
