from __future__ import annotations

from pathlib import Path

import pytest

from enforcer import SHIPPED, PolicyError, load_policies
from enforcer.policy import GuardRails


def test_the_shipped_policies_load_and_pass_their_own_tests() -> None:
    names = [policy.name for policy in load_policies([SHIPPED]).policies]

    assert names == ["freeze-before-oom", "batch-cpu-suppress", "memory-headroom"]


def test_a_directory_that_is_not_there_holds_no_policies() -> None:
    assert load_policies(["/nonexistent/policies.d"]).policies == ()


def test_a_file_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load_policies(["/nonexistent/none.yaml"])


def test_the_hash_is_of_what_a_policy_says_and_not_of_its_comments(tmp_path: Path) -> None:
    text = (Path(SHIPPED) / "memory-headroom.yaml").read_text()
    other = tmp_path / "memory-headroom.yaml"
    other.write_text(f"# another comment\n{text}")

    (shipped,) = load_policies([str(Path(SHIPPED) / "memory-headroom.yaml")]).policies
    (commented,) = load_policies([str(other)]).policies

    assert shipped.sha256 == commented.sha256


def test_guard_rails_are_read_from_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rails.yaml").write_text(
        "apiVersion: cgwarden.dev/v1alpha1\nkind: GuardRails\nmetadata: {name: node}\n"
        "spec: {floors: {memory.max: 128Mi}, blastRadius: {count: 3}}\n"
    )

    rails = load_policies([str(tmp_path)]).rails

    assert rails.floors == {"memory.max": 128 * 2**20, "cpu.quota": 0.05}
    assert rails.blast_count == 3
    assert rails.protected == GuardRails().protected
