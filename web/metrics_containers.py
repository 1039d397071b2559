"""The container families of /metrics: ours, and cAdvisor's by its own names or under our prefix."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final

from cgroupfs import UNLIMITED, Limits
from web.cadvisor_families import FAMILIES, OUTLIVING, Family, samples_of
from web.exposition import Page
from web.metric_rows import Row

_STATES: Final = ("created", "running", "frozen", "exited")
_LIMITS: Final = tuple(
    field.name
    for field in fields(Limits)
    if field.name not in ("io_max", "cpu_idle") and "cpuset" not in field.name
)


def write_containers(page: Page, rows: Sequence[Row], *, cadvisor_names: bool) -> None:
    """All families of all containers."""
    live = [row for row in rows if not row.gone]
    _write_own(page, rows, live)
    for family in FAMILIES:
        shown = rows if family.name in OUTLIVING else live
        name = family.name if cadvisor_names else own_name(family)
        page.family(name, family.kind, family.about, samples_of(family, shown))


def own_name(family: Family) -> str:
    """The family in our own namespace, by the rules that cAdvisor's names break here and there."""
    name = f"cgwarden_{family.name}"
    return name if family.kind != "counter" or name.endswith("_total") else f"{name}_total"


def _write_own(page: Page, rows: Sequence[Row], live: Sequence[Row]) -> None:
    page.family(
        "cgwarden_container_info", "gauge", "What the container is.", [(row.labels.info, 1) for row in live]
    )
    page.family("cgwarden_container_state", "gauge", "1 for the present state.", _states(live))
    page.family(
        "cgwarden_container_frozen",
        "gauge",
        "1 while it is frozen.",
        [(row.labels.own, int(row.frozen)) for row in live],
    )
    page.family(
        "cgwarden_container_limit",
        "gauge",
        "Limits by their names in the API; +Inf is unlimited.",
        _limits(live),
    )
    page.family(
        "cgwarden_container_oom_kills_total",
        "counter",
        "Processes killed for lack of memory.",
        [(row.labels.own, row.slow.oom_kills) for row in rows if row.slow and row.slow.oom_kills is not None],
    )


def _states(rows: Sequence[Row]) -> Iterator[tuple[str, int]]:
    for row in rows:
        present = "frozen" if row.frozen else (row.container.state if row.container else "running")
        for state in _STATES:
            yield f'{row.labels.own},state="{state}"', int(state == present)


def _limits(rows: Sequence[Row]) -> Iterator[tuple[str, float | int | str]]:
    for row in rows:
        for field in _LIMITS:
            value = limit_value(getattr(row.limits, field))
            if value is not None:
                yield f'{row.labels.own},resource="{field}",source="kernel"', value
        for field, wish in {} if row.container is None else row.container.spec.limits.items():
            value = limit_value(wish)
            if value is not None:
                yield f'{row.labels.own},resource="{field}",source="spec"', value


def limit_value(limit: object) -> float | int | str | None:
    """A limit as a sample's value; None for what is no number (absent, a flag, a CPU list, a table)."""
    if limit is UNLIMITED or limit == "max":
        return "+Inf"
    return limit if isinstance(limit, int | float) and not isinstance(limit, bool) else None
