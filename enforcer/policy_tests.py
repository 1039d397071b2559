"""The `tests` of a policy file: series of signals through the same `decide`, run whenever it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cgroupfs import UNLIMITED
from enforcer.decide import decide
from enforcer.decision import Decision, Kind
from enforcer.document import Node
from enforcer.fields import FIELDS, FREEZER, FROZEN, Unit, from_wire, same_value
from enforcer.keys import Keys, did_you_mean, items_of, mapping_of, read_quantity, read_text
from enforcer.policy import ENFORCE, Policy, PolicySet, Selector
from enforcer.quantities import BadQuantity, format_quantity, parse_quantity
from enforcer.signals import SIGNALS
from enforcer.state import State
from enforcer.view import ContainerView, View

DEFAULT_AGE_SEC = 3600.0
MAX_STEPS = 7200
_RUN = re.compile(r"(\S+)\s+x(\d{1,5})")
_VERBS = ("scale", "set", "step", "control", "freeze")


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one container (or of `node`), a value or None for each second from 0."""

    of: str
    signal: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must have happened at, or not until, a second."""

    node: Node
    at_sec: float | None
    until_sec: float | None
    action: str = ""
    target: str = ""
    to: object = None


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One test: series in, expectations out."""

    name: str
    node: Node
    targets: tuple[str, ...]
    others: tuple[str, ...]
    fields: Mapping[str, Mapping[str, object]]
    series: tuple[Series, ...]
    expect: tuple[Expectation, ...]


def read_tests(node: Node | None) -> tuple[PolicyTest, ...]:
    """The tests of a policy's spec."""
    return () if node is None else tuple(_read_test(item) for item in items_of(node))


def _read_test(node: Node) -> PolicyTest:
    keys = Keys(node, ("name", "as", "fields", "series", "expect"))
    series = tuple(_read_series(keys.need("series")))
    fields = _read_fields(keys.get("fields"))
    others = _read_others(keys.get("as"))
    named = {one.of for one in series} | set(fields)
    targets = tuple(sorted(named - {"node"} - set(others)))
    expect = tuple(_read_expectation(item) for item in items_of(keys.need("expect")))
    return PolicyTest(keys.text("name"), node, targets, others, fields, series, expect)


def _read_others(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    for role in mapping_of(node).values():
        if role.value == "protected":
            raise role.error('"protected" is not supported yet')
        if role.value != "other":
            raise role.error('must be "other"')
    return tuple(sorted(mapping_of(node)))


def _read_fields(node: Node | None) -> dict[str, dict[str, object]]:
    if node is None:
        return {}
    return {
        name: {FIELDS[key].wire: _read_limit(value, key) for key, value in Keys(limits, FIELDS).fields()}
        for name, limits in mapping_of(node).items()
    }


def _read_limit(node: Node, field: str) -> object:
    return UNLIMITED if node.value == "max" else read_quantity(node, FIELDS[field].unit)


def _read_series(node: Node) -> list[Series]:
    found = []
    for of, signals in mapping_of(node).items():
        for name, text in mapping_of(signals).items():
            if name not in SIGNALS:
                raise text.error(f'unknown signal "{name}"{did_you_mean(name, SIGNALS)}')
            found.append(Series(of, name, _read_values(text, SIGNALS[name].unit)))
    return found


def _read_values(node: Node, unit: Unit) -> tuple[float | None, ...]:
    """`70% x10, 95% x60, _ x3`, and ramps `10Mi..90Mi x9`, at one value a second."""
    values: list[float | None] = []
    for part in read_text(node).split(","):
        match = _RUN.fullmatch(part.strip())
        if match is None:
            raise node.error(f'"{part.strip()}" is not of the form "VALUE xCOUNT"')
        text, count = match.group(1), int(match.group(2))
        if len(values) + count > MAX_STEPS:
            raise node.error(f"longer than {MAX_STEPS} seconds")
        try:
            values += _expand(text, count, unit)
        except BadQuantity as e:
            raise node.error(str(e)) from e
    return tuple(values)


def _expand(text: str, count: int, unit: Unit) -> list[float | None]:
    if text == "_":
        return [None] * count
    first, ramp, last = text.partition("..")
    low = parse_quantity(first, unit)
    if not ramp:
        return [low] * count
    high = parse_quantity(last, unit)
    return [low + (high - low) * step / max(1, count - 1) for step in range(count)]


def _read_expectation(node: Node) -> Expectation:
    keys = Keys(node, ("at", "until", "none", "action", "target", "to"))
    if keys.has("until"):
        if not keys.flag("none", False):
            raise node.error('"until" goes with "none: true"')
        return Expectation(node, None, keys.duration("until", 0.0, high=MAX_STEPS))
    at_sec = keys.duration("at", 0.0, high=MAX_STEPS) if keys.has("at") else None
    if at_sec is None:
        raise node.error('must hold "at" or "until"')
    to = keys.get("to")
    action = keys.choice("action", _VERBS)
    return Expectation(node, at_sec, None, action, keys.text("target"), None if to is None else to.value)


def run_test(policy: Policy, test: PolicyTest) -> None:
    """Raise PolicyError, at the expectation's place, if `policy` does otherwise than the test says."""
    trial = replace(policy, mode=ENFORCE, suspend=False, targets=Selector(names=test.targets or ("-",)))
    done = _simulate(trial, test)
    for expectation in test.expect:
        _check(policy, test, expectation, done)


def _simulate(policy: Policy, test: PolicyTest) -> list[tuple[int, Decision]]:
    """Every decision with its second; fields follow what was decided, the series do not."""
    fields = {name: dict(limits) for name, limits in test.fields.items()}
    baselines = {name: dict(limits) for name, limits in test.fields.items()}
    frozen_until: dict[str, float] = {}
    policies, state = PolicySet((policy,)), State()
    done: list[tuple[int, Decision]] = []
    for second in range(max(len(series.values) for series in test.series)):
        view = _view(test, second, fields, baselines, frozen_until)
        decisions, state = decide(view, state, policies, float(second))
        for decision in decisions:
            _follow(decision, second, fields, baselines, frozen_until)
            done.append((second, decision))
    return done


def _follow(
    decision: Decision,
    second: int,
    fields: dict[str, dict[str, object]],
    baselines: dict[str, dict[str, object]],
    frozen_until: dict[str, float],
) -> None:
    if decision.kind is Kind.RELEASE:
        fields[decision.target][decision.field] = baselines[decision.target][decision.field]
    elif decision.kind not in (Kind.ACT, Kind.STEP):
        return
    elif decision.field == FREEZER:
        frozen_until[decision.target] = second + decision.lease_sec
    else:
        fields.setdefault(decision.target, {})[decision.field] = decision.value


def _view(
    test: PolicyTest,
    second: int,
    fields: Mapping[str, Mapping[str, object]],
    baselines: Mapping[str, Mapping[str, object]],
    frozen_until: Mapping[str, float],
) -> View:
    signals: dict[str, dict[str, float | None]] = {"node": {}}
    for series in test.series:
        value = series.values[second] if second < len(series.values) else None
        signals.setdefault(series.of, {})[series.signal] = value
    containers = {
        name: ContainerView(
            name,
            inode=1,
            age_sec=DEFAULT_AGE_SEC,
            frozen=frozen_until.get(name, 0.0) > second,
            signals=signals.get(name, {}),
            fields=dict(fields.get(name, {})),
            baselines=baselines.get(name, {}),
        )
        for name in (*test.targets, *test.others)
    }
    return View(containers, signals["node"])


def _check(policy: Policy, test: PolicyTest, expected: Expectation, done: list[tuple[int, Decision]]) -> None:
    acts = [(at, decision) for at, decision in done if decision.kind in (Kind.ACT, Kind.STEP)]
    label = f'test "{test.name}" of {policy.name}'
    if expected.until_sec is not None:
        early = [(at, decision) for at, decision in acts if at <= expected.until_sec]
        if early:
            raise expected.node.error(
                f"{label} failed: expected nothing until {expected.until_sec:g}s, {_told(early)}"
            )
        return
    at_sec = expected.at_sec or 0.0
    if not any(at == at_sec and _fits(expected, decision) for at, decision in acts):
        wish = f"{expected.action} of {expected.target}" + (
            f" to {expected.to}" if expected.to is not None else ""
        )
        raise expected.node.error(f"{label} failed: expected {wish} at {at_sec:g}s, {_told(acts)}")


def _fits(expected: Expectation, decision: Decision) -> bool:
    if (expected.action, expected.target) != (decision.verb, decision.target):
        return False
    if expected.to is None:
        return True
    if decision.field == FREEZER:
        return expected.to == FROZEN
    if expected.to == "max":
        return decision.value is from_wire("max")
    field = next(field for field in FIELDS.values() if field.wire == decision.field)
    try:
        return same_value(field.wire, parse_quantity(str(expected.to), field.unit), decision.value)
    except BadQuantity as e:
        raise expected.node.error(str(e)) from e


def _told(acts: list[tuple[int, Decision]]) -> str:
    if not acts:
        return "but nothing was done"
    return "but it did " + ", ".join(f"{_one(decision)} at {at}s" for at, decision in acts[:4])


def _one(decision: Decision) -> str:
    field = next((field for field in FIELDS.values() if field.wire == decision.field), None)
    to = ""
    if field is not None and isinstance(decision.value, (int, float)):
        to = f" to {format_quantity(decision.value, field.unit)}"
    return f"{decision.verb} of {decision.target}{to}"
