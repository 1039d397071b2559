"""The value of each leaf for each container: from the view or its history; unknown stays None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from enforcer.conditions import NODE, Leaf
from enforcer.policy import Policy, PolicySet
from enforcer.signals import Points, known, memory_slope, summarize, time_to_limit_sec
from enforcer.state import THE_NODE, Entity, PointTuple, State
from enforcer.view import ContainerView, View

MAX_POINTS = 1200
_SLACK_SEC = 1e-6
_USAGE = "memory.usage"
Histories: TypeAlias = dict[tuple[Entity, str], PointTuple]


def kept_signals(policies: PolicySet) -> dict[str, float]:
    """Signals whose history some leaf needs, with the seconds to keep."""
    kept: dict[str, float] = {}
    for policy in policies.active():
        for leaf in policy.leaves():
            if leaf.signal.span:
                samples = leaf.window_sec or leaf.signal.span
                kept[_USAGE] = max(kept.get(_USAGE, 0.0), samples * 3.0)
            elif leaf.stat != "last":
                name = leaf.signal.name
                kept[name] = max(kept.get(name, 0.0), leaf.window_sec)
    return kept


def extend_histories(view: View, state: State, policies: PolicySet, now: float) -> Histories:
    """The histories with this view's values added; containers that are gone are left out."""
    grown: Histories = {}
    for name, keep_sec in kept_signals(policies).items():
        _extend(grown, state, (THE_NODE, name), view.node.get(name), now, keep_sec)
        for container in view.containers.values():
            _extend(grown, state, (container.key, name), container.signals.get(name), now, keep_sec)
    return grown


def _extend(
    grown: Histories, state: State, key: tuple[Entity, str], raw: float | None, now: float, keep_sec: float
) -> None:
    points = state.histories.get(key, ())
    horizon, old = now - keep_sec + _SLACK_SEC, 0
    while old < len(points) and points[old][0] <= horizon:
        old += 1
    points = points[old:]
    value = known(raw)
    if value is not None:
        points = (*points[-MAX_POINTS:], (now, value))
    if points:
        grown[key] = points


class Reader:
    """Reads leaves of one policy in one view."""

    def __init__(self, view: View, histories: Mapping[tuple[Entity, str], Points], now: float) -> None:
        self.view = view
        self._histories = histories
        self._now = now
        self._slopes: dict[tuple[Entity, int], float | None] = {}

    def read(
        self, leaf: Leaf, container: ContainerView | None, targets: Iterable[ContainerView]
    ) -> float | None:
        """The leaf's value, of the node where it says so; None for what is missing, stale or not a number."""
        if leaf.of == NODE or container is None:
            if self.view.node_age_sec > leaf.max_age_sec:
                return None
            return self._of_node(leaf, targets)
        if container.sample_age_sec > leaf.max_age_sec:
            return None
        return self._of_container(leaf, container)

    def age_sec(self, leaf: Leaf, container: ContainerView | None) -> float:
        """How old the number is that the leaf was read from."""
        return self.view.node_age_sec if leaf.of == NODE or container is None else container.sample_age_sec

    def _of_node(self, leaf: Leaf, targets: Iterable[ContainerView]) -> float | None:
        if leaf.stat != "last":
            return self._over_window(leaf, THE_NODE)
        if leaf.signal.name == "cpu.nonTargetCores":
            return non_target_cores(self.view, targets)
        return known(self.view.node.get(leaf.signal.name))

    def _of_container(self, leaf: Leaf, container: ContainerView) -> float | None:
        name = leaf.signal.name
        if leaf.signal.span and name not in container.signals:
            return self._of_growth(leaf, container)
        if leaf.stat != "last":
            return self._over_window(leaf, container.key)
        value = container.signals.get(name)
        return value if value == float("inf") and leaf.signal.span else known(value)

    def _of_growth(self, leaf: Leaf, container: ContainerView) -> float | None:
        usage = known(container.signals.get(_USAGE))
        slope = self._slope(container.key, int(leaf.window_sec) or leaf.signal.span)
        if leaf.signal.name == "memory.slope" or usage is None:
            return slope if usage is not None else None
        limit = container.fields.get("memory_max_bytes")
        return time_to_limit_sec(usage, limit if isinstance(limit, int) else None, slope)

    def _slope(self, entity: Entity, samples: int) -> float | None:
        """The same for every policy that asks, and dear: 45 pairs for ten samples."""
        key = (entity, samples)
        if key not in self._slopes:
            self._slopes[key] = memory_slope(self._histories.get((entity, _USAGE), ()), samples)
        return self._slopes[key]

    def _over_window(self, leaf: Leaf, entity: Entity) -> float | None:
        points = self._histories.get((entity, leaf.signal.name), ())
        recent = [point for point in points if point[0] > self._now - leaf.window_sec + _SLACK_SEC]
        newest_is_old = not recent or recent[-1][0] < self._now - leaf.max_age_sec
        if newest_is_old or len(recent) < leaf.min_samples:
            return None
        return summarize(recent, leaf.stat)


def non_target_cores(view: View, targets: Iterable[ContainerView]) -> float | None:
    """Cores that containers outside `targets` use; None as soon as one of them is unknown."""
    given = known(view.node.get("cpu.nonTargetCores"))
    if given is not None:
        return given
    squeezed = {target.name for target in targets}
    used = 0.0
    for container in view.containers.values():
        if container.name in squeezed:
            continue
        cores = known(container.signals.get("cpu.cores"))
        if cores is None:
            return None
        used += cores
    return used


def targets_of(policy: Policy, view: View) -> list[ContainerView]:
    """The containers that the policy may touch, by name; an unknown age is not enough for `minAge`."""
    selector = policy.targets
    return [
        container
        for _, container in sorted(view.containers.items())
        if selector.matches(container.name, container.labels, container.klass)
        and (not selector.min_age_sec or (known(container.age_sec) or 0.0) >= selector.min_age_sec)
    ]


def too_young(policy: Policy, view: View) -> list[ContainerView]:
    """Containers that would be targets but for their age: worth a word in the record."""
    selector = policy.targets
    return [
        container
        for _, container in sorted(view.containers.items())
        if selector.min_age_sec
        and selector.matches(container.name, container.labels, container.klass)
        and (known(container.age_sec) or 0.0) < selector.min_age_sec
    ]
