"""New values of limits from present ones: `scale`, `step`, `set`, and the CPU suppression law."""

from __future__ import annotations

from collections.abc import Sequence

from enforcer.fields import rounded
from enforcer.policy import Change, Suppress

# The kernel takes no quota below 1,000 µs; twice that per 100 ms period is where suppression ends.
MIN_SUPPRESSED_CORES = 0.02
# Decimal fractions are not exact in binary: 0.8 cores of 80 must still count as one per cent.
EPSILON_CORES = 1e-9


def changed_value(change: Change, present: object) -> float | None:
    """The wanted value within floor and ceiling; None where nothing would change or no number is there.

    An action that raises never lowers, one that lowers never raises, whatever floor and ceiling say.
    """
    if change.verb == "set":
        wanted = rounded(change.field, _clip(change.amount, change))
        return None if wanted == present else wanted
    if isinstance(present, bool) or not isinstance(present, (int, float)):
        return None
    raw = present * change.amount if change.verb == "scale" else present + change.amount
    wanted = rounded(change.field, _clip(raw, change))
    grows = raw > present
    if (grows and wanted <= present) or (not grows and wanted >= present):
        return None
    return wanted


def _clip(value: float, change: Change) -> float:
    if change.floor is not None:
        value = max(value, change.floor)
    return value if change.ceiling is None else min(value, change.ceiling)


def suppressed_budget_cores(law: Suppress, capacity: float, non_target: float, system: float) -> float:
    """Cores that best-effort containers may use together (as koordinator's cpu_suppress.go has it)."""
    return capacity * law.target_fraction - non_target - max(system, law.reserve_cores)


def step_towards(
    law: Suppress, want: float, present: float | None, capacity: float, share: float
) -> float | None:
    """The next quota in cores: down at once, up slowly, not at all within the dead band (None).

    `share` is this container's part of the suppressed cores, by which dead band and upward step are scaled.
    """
    floor = max(law.floor_cores, MIN_SUPPRESSED_CORES)
    wanted = max(want, floor)
    if present is None:
        return round(wanted, 5)
    at_floor = wanted <= floor and present != floor
    if abs(wanted - present) < law.dead_band_fraction * capacity * share - EPSILON_CORES and not at_floor:
        return None
    wanted = min(wanted, present + law.up_fraction * capacity * share)
    wanted = round(max(wanted, floor), 5)
    return None if wanted == round(present, 5) else wanted


def shares(weights: Sequence[float], by_weight: bool) -> list[float]:
    """Each container's part of the suppressed cores; they add up to 1."""
    if not by_weight or sum(weights) <= 0:
        return [1 / len(weights)] * len(weights)
    return [weight / sum(weights) for weight in weights]
