"""What `doctor` finds of the root file systems that containers can have, and how they are entered."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from cgwarden.checks import Check, make_check
from launcher.rootfs import dm
from launcher.rootfs.changing import can_pivot
from launcher.rootfs.devmapper import NOT_HERE

_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def check_roots() -> list[Check]:
    """One line for each; a driver that is missing costs nothing but itself, since overlay is the default."""
    return [_change(), _file_system("overlay"), _file_system("btrfs"), _devmapper(), _sizes()]


def _change() -> Check:
    if can_pivot():
        return make_check("root change", "ok", "pivot_root")
    detail = "pivot_root cannot work here (initramfs or chroot): chroot is used, without CAP_SYS_CHROOT"
    return make_check(
        "root change", "degraded", detail, "start cgwarden on a root that is mounted from a disk"
    )


def _file_system(name: str) -> Check:
    known = Path("/proc/filesystems").read_text().split()
    if name in known:
        more = "; STATE_DIR, or STATE_DIR/btrfs, must be one" if name == "btrfs" else ""
        return make_check(f"driver {name}", "ok", f"this kernel has {name}{more}")
    return make_check(f"driver {name}", "degraded", f"this kernel has no {name} now", f"modprobe {name}")


def _devmapper() -> Check:
    if dm.is_offered():
        return make_check("driver devmapper", "ok", "this kernel has device mapper")
    detail, _, advice = NOT_HERE.partition(": ")
    return make_check("driver devmapper", "degraded", detail, advice)


def _sizes() -> Check:
    if shutil.which("mkfs.ext4", path=_SBIN) is None:
        detail = "no mkfs.ext4: --storage-opt size= is refused with overlay, and devmapper cannot begin"
        return make_check("root sizes", "degraded", detail, "apt install e2fsprogs")
    if not Path("/dev/loop-control").exists():
        detail = "no loop devices: --storage-opt size= is refused with overlay"
        return make_check("root sizes", "degraded", detail, "modprobe loop")
    return make_check("root sizes", "ok", "mkfs.ext4 and loop devices: writable layers can be held to a size")
