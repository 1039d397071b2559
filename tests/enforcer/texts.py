"""Policies and views as short literals, for tests that show what they are about and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from enforcer.document import parse_documents
from enforcer.grammar import read_policy
from enforcer.policy import Policy, PolicySet
from enforcer.view import ContainerView, View

MIB = 2**20
GIB = 2**30

HEADROOM = """
when: {signal: memory.usedRatio, above: 90%, clear: 80%, for: 3s}
do: [{scale: {field: memory.max, by: 125%, ceiling: 4Gi}}]
lease: 60s
cooldown: {target: 10s}
"""
FREEZE = """
when: {signal: memory.timeToLimit, below: 10s}
do: [{freeze: {for: 20s}}]
cooldown: {target: 30s}
"""
SUPPRESS = """
scope: node
when: {signal: cpu.usedRatio, of: node, above: 65%, clear: 60%, for: 2s}
do: [{control: {field: cpu.quota, law: suppress, target: 65%, reserve: 500m, floor: 500m, up: 10%}}]
lease: 30s
cooldown: {policy: 5s}
"""


def document(spec: str, name: str = "example") -> str:
    """A whole policy document around a spec."""
    indented = "\n".join(f"  {line}" for line in spec.strip().splitlines())
    head = f"apiVersion: cgwarden.dev/v1alpha1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}{indented}\n"


def policy(spec: str, name: str = "example", mode: str = "enforce") -> Policy:
    """A policy that enforces, unless told otherwise."""
    (node,) = parse_documents(document(f"mode: {mode}\n{spec.strip()}", name), f"{name}.yaml")
    return read_policy(node)


def policies(*specs: str) -> PolicySet:
    """A set of policies named p0, p1, …"""
    return PolicySet(tuple(policy(spec, f"p{number}") for number, spec in enumerate(specs)))


def container(
    name: str = "web",
    signals: Mapping[str, float | None] | None = None,
    fields: Mapping[str, object] | None = None,
    **more: object,
) -> ContainerView:
    """One container with the given signals."""
    return ContainerView(name, 7, signals=signals or {}, fields=fields or {}, **more)  # type: ignore[arg-type]


def view(*containers: ContainerView, node: Mapping[str, float | None] | None = None) -> View:
    """What one decision sees."""
    return View({one.name: one for one in containers}, node or {})
