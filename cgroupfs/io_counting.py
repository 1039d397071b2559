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
from cgroupfs.host import Disk, Host

FILE: Final = "blkio.throttle.read_bps_device"


def begin_counting(group: ControlDir, host: Host, known: set[Disk]) -> None:
    """Have the traffic of all disks counted that are not in `known` yet, and make it those that are there.

    `group` must be new, as a throttle that it had would be taken away. A disk without throttles stays out.
    """
    present = host.list_disks()
    known &= present
    for disk in sorted(present - known):
        device = host.read_disk(disk)
        if device is None:
            continue
        with contextlib.suppress(CgroupGone, NotOffered, Refused):
            group.write(FILE, f"{device} 0")
        known.add(disk)
