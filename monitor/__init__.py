"""The monitor: cgroups to samples, samples to usage, usage to history; and the log of what happened."""

from monitor.event import Event
from monitor.event_store import NewerSchema
from monitor.events import EventLog
from monitor.history import HOST, History, HistoryPage, UnknownMetric
from monitor.host import HOST_METRICS, HostSample, HostUsage, NumaNode
from monitor.monitor import Monitor
from monitor.sample import (
    ContainerSource,
    Observation,
    Sample,
    Snapshot,
    SweepCost,
    Tombstone,
    Totals,
    Watched,
)
from monitor.usage import METRICS, Usage, usage_of

__all__ = [
    "HOST",
    "HOST_METRICS",
    "METRICS",
    "ContainerSource",
    "Event",
    "EventLog",
    "History",
    "HistoryPage",
    "HostSample",
    "HostUsage",
    "Monitor",
    "NewerSchema",
    "NumaNode",
    "Observation",
    "Sample",
    "Snapshot",
    "SweepCost",
    "Tombstone",
    "Totals",
    "UnknownMetric",
    "Usage",
    "Watched",
    "usage_of",
]
