"""Policy files to a set in force: each is read, checked and tested, or the set is refused as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from enforcer.document import Node, read_documents
from enforcer.grammar import read_guard_rails, read_kind, read_policy
from enforcer.keys import Keys
from enforcer.policy import GuardRails, Policy, PolicySet
from enforcer.policy_tests import read_tests, run_test

SHIPPED = os.path.join(os.path.dirname(__file__), "policies")
_SUFFIXES = (".yaml", ".yml")


def load_policies(paths: Sequence[str]) -> PolicySet:
    """Every policy of the given files and directories (`*.yaml`, by name); a missing directory holds none.

    Raises:
        PolicyError: with file, line and column, for the first mistake, double name or failed test.
    """
    policies: dict[str, Policy] = {}
    rails: GuardRails | None = None
    for file in policy_files(paths):
        for node in read_documents(file):
            if read_kind(node) == "GuardRails":
                if rails is not None:
                    raise node.error("there are guard rails already: one document for each node")
                rails = read_guard_rails(node)
            else:
                _add(policies, node)
    ordered = sorted(policies.values(), key=lambda policy: (-policy.priority, policy.name))
    return PolicySet(tuple(ordered), rails or GuardRails())


def policy_files(paths: Iterable[str]) -> list[str]:
    """The files meant by `paths`, in the order in which they are read."""
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found += [
                os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(_SUFFIXES)
            ]
        elif os.path.exists(path) or path.endswith(_SUFFIXES):
            found.append(path)
    return found


def _add(policies: dict[str, Policy], node: Node) -> None:
    policy = read_policy(node)
    if policy.name in policies:
        other = policies[policy.name].file
        raise (
            Keys(node, ("apiVersion", "kind", "metadata", "spec"))
            .need("metadata")
            .error(f'the name "{policy.name}" is taken by {other}')
        )
    for test in read_tests(
        Keys(node, ("apiVersion", "kind", "metadata", "spec")).need("spec").child("tests")
    ):
        run_test(policy, test)
    policies[policy.name] = policy
