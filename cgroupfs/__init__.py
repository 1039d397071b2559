"""The only code that reads and writes cgroup files; above it nothing tells v1 from v2.

Start with `Hierarchies.read()`, which gives `Cgroup`s. What goes wrong is a `CgroupError`, one clear line.
"""

from cgroupfs.cgroup import Cgroup, SlowStats
from cgroupfs.cpu import CpuStat
from cgroupfs.device_rules import DeviceRule
from cgroupfs.errors import (
    BadLimit,
    CgroupError,
    CgroupGone,
    FreezeTimeout,
    HalfApplied,
    NoCgroups,
    NotMounted,
    NotOffered,
    ParseError,
    Refused,
)
from cgroupfs.events import (
    Event,
    Exited,
    FreezerChanged,
    LimitHit,
    OomKill,
    OutOfMemory,
    PopulatedChanged,
    ReclaimPressure,
    Removed,
    Stalled,
    UsageCrossed,
    Way,
)
from cgroupfs.files import ControlDir
from cgroupfs.hierarchies import Hierarchies
from cgroupfs.hot import HotFiles, HotStats
from cgroupfs.hugetlb import HugetlbStat
from cgroupfs.io_limits import IoLimit
from cgroupfs.io_traffic import DeviceIo, IoStat
from cgroupfs.limits import LIMIT_FIELDS, Limits
from cgroupfs.memory import MemoryStat
from cgroupfs.net import InterfaceCounters, NetNamespace, read_net
from cgroupfs.numa import NumaBytes
from cgroupfs.pids import PidsStat
from cgroupfs.placement import Placement, place, settle
from cgroupfs.pressure import PressureStat, Psi, read_host_pressure
from cgroupfs.report import HierarchyReport, Loss
from cgroupfs.translation import is_translated, translate
from cgroupfs.values import UNLIMITED, Limit, Unlimited
from cgroupfs.watcher import Watcher
from cgroupfs.writes import Write, Written

__all__ = [
    "LIMIT_FIELDS",
    "UNLIMITED",
    "BadLimit",
    "Cgroup",
    "CgroupError",
    "CgroupGone",
    "ControlDir",
    "CpuStat",
    "DeviceIo",
    "DeviceRule",
    "Event",
    "Exited",
    "FreezeTimeout",
    "FreezerChanged",
    "HalfApplied",
    "Hierarchies",
    "HierarchyReport",
    "HotFiles",
    "HotStats",
    "HugetlbStat",
    "InterfaceCounters",
    "IoLimit",
    "IoStat",
    "Limit",
    "LimitHit",
    "Limits",
    "Loss",
    "MemoryStat",
    "NetNamespace",
    "NoCgroups",
    "NotMounted",
    "NotOffered",
    "NumaBytes",
    "OomKill",
    "OutOfMemory",
    "ParseError",
    "PidsStat",
    "Placement",
    "PopulatedChanged",
    "PressureStat",
    "Psi",
    "ReclaimPressure",
    "Refused",
    "Removed",
    "SlowStats",
    "Stalled",
    "Unlimited",
    "UsageCrossed",
    "Watcher",
    "Way",
    "Write",
    "Written",
    "is_translated",
    "place",
    "read_host_pressure",
    "read_net",
    "settle",
    "translate",
]
