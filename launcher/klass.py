"""`--class`: what guaranteed, burstable and besteffort mean, as in Kubernetes, on a host without a kubelet.

Weights from the CPUs that were asked for, protection of memory where the kernel offers it, and who is killed
first when the whole host is out of memory. kubernetes/kubernetes pkg/kubelet/qos/policy.go and
pkg/kubelet/cm/helpers_linux.go. What was asked for by a limit of its own stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cgroupfs import Cgroup, is_translated, translate
from launcher.errors import BadSpec
from launcher.spec import ContainerSpec

GUARANTEED_SCORE: Final = -997
BESTEFFORT_SCORE: Final = 1000
LEAST_SHARES: Final = 2
MOST_SHARES: Final = 262_144


class Meant(NamedTuple):
    """What the spec comes to on this host; notes say what became something else."""

    limits: Mapping[str, object]
    notes: tuple[str, ...]


def check_class(spec: ContainerSpec) -> None:
    """A guarantee needs to know of how much: `BadSpec` where it does not."""
    needed = {"memory_max_bytes": "--memory", "cpu_max_cores": "--cpus"}
    missing = [flag for field, flag in needed.items() if not _is_number(spec.limits.get(field))]
    if spec.klass == "guaranteed" and missing:
        raise BadSpec("class", f"guaranteed needs limits on memory and CPU: give {' and '.join(missing)}")


def mean(spec: ContainerSpec, cgroup: Cgroup) -> Meant:
    """The limits that the spec and its class ask for, under the names that this kernel has for them."""
    wanted = dict(spec.limits)
    if spec.klass == "burstable" and not is_translated(wanted):
        return Meant(wanted, ())
    offered = cgroup.read_limits()
    of_class = {
        field: value
        for field, value in _class_limits(spec).items()
        if field not in wanted and not (field == "cpu_shares" and "cpu_weight" in wanted)
    }
    protected = of_class.pop("memory_min_bytes", None)
    if protected is not None and offered.memory_min_bytes is not None:
        of_class["memory_min_bytes"] = protected
    limits, told = translate(wanted | of_class, offered)
    notes = list(told)
    if protected is not None and offered.memory_min_bytes is None:
        notes.append("its memory is not protected: this kernel offers no memory.min")
    return Meant(limits, tuple(notes))


def _class_limits(spec: ContainerSpec) -> dict[str, object]:
    if spec.klass == "besteffort":
        return {"cpu_shares": LEAST_SHARES}
    cores = spec.limits.get("cpu_max_cores")
    if spec.klass != "guaranteed" or not isinstance(cores, int | float):
        return {}
    shares = min(max(int(cores * 1024), LEAST_SHARES), MOST_SHARES)
    return {"cpu_shares": shares, "memory_min_bytes": spec.limits.get("memory_max_bytes")}


def oom_score_of(spec: ContainerSpec, host_bytes: int) -> int:
    """From -1000 (never) to 1000 (first): who is killed when the whole host is out of memory.

    Of burstable ones those with the smallest request for their size go first; the request is the reservation,
    or else the limit.
    """
    if spec.oom_score_adj is not None:
        return spec.oom_score_adj
    if spec.klass == "guaranteed":
        return GUARANTEED_SCORE
    if spec.klass == "besteffort":
        return BESTEFFORT_SCORE
    given = (spec.limits.get("memory_soft_limit_bytes"), spec.limits.get("memory_max_bytes"))
    request = next((value for value in given if isinstance(value, int)), 0)
    score = 1000 - 1000 * request // max(host_bytes, 1)
    return min(max(score, 1000 + GUARANTEED_SCORE), BESTEFFORT_SCORE - 1)


def describe_score(wanted: int, identity: Mapping[str, Any]) -> tuple[str, ...]:
    """A note where the host did not permit it; what it is stands in the record of the first process."""
    actual: int | None = identity.get("oom_score_adj")
    if actual is None or actual == wanted:
        return ()
    return (
        f"oom_score_adj is {actual}, not {wanted}: less is not permitted here (it needs CAP_SYS_RESOURCE)",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
