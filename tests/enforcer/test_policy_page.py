"""docs/writing-a-policy.md tells the truth: its policies load, and its table names every signal."""

from __future__ import annotations

import re
from pathlib import Path

from enforcer import load_policies
from enforcer.signals import SIGNALS

PAGE = (Path(__file__).parents[2] / "docs" / "writing-a-policy.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


def test_the_smallest_policy_loads_and_observes(tmp_path: Path) -> None:
    (tmp_path / "smallest.yaml").write_text(BLOCKS[0])

    (policy,) = load_policies([str(tmp_path)]).policies

    assert (policy.name, policy.mode) == ("headroom", "observe")


def test_the_careful_policy_passes_the_test_that_is_shown_for_it(tmp_path: Path) -> None:
    head = BLOCKS[0].partition("spec:")[0]
    (tmp_path / "careful.yaml").write_text(head + BLOCKS[1] + BLOCKS[2])

    (policy,) = load_policies([str(tmp_path)]).policies

    assert (policy.mode, policy.lease_sec, policy.cooldown_target_sec) == ("enforce", 3600.0, 120.0)


def test_the_guard_rails_that_are_shown_load(tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text(BLOCKS[3])

    assert load_policies([str(tmp_path)]).rails.ceilings == {"memory.max": 64 * 2**30}


def test_every_signal_is_in_the_table() -> None:
    missing = [name for name in SIGNALS if ".psi." not in name and f"`{name}`" not in PAGE]

    assert missing == []
