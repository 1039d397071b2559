"""Policy documents to policies: the Kubernetes shape, spec and guard rails; mistakes with their place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from enforcer.document import Node
from enforcer.fields import FIELDS, Unit
from enforcer.grammar_do import read_actions
from enforcer.grammar_when import read_when
from enforcer.keys import Keys, did_you_mean, mapping_of, read_quantity, read_text
from enforcer.policy import (
    CLASSES,
    CONTAINER_SCOPE,
    ENFORCE,
    NODE_SCOPE,
    OBSERVE,
    Action,
    Budget,
    Expression,
    Freeze,
    GuardRails,
    Policy,
    Selector,
)

API_VERSION = "cgwarden.dev/v1alpha1"
KINDS = ("Policy", "GuardRails")
MAX_LEASE_SEC = 86400.0
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SPEC = (
    "mode",
    "suspend",
    "priority",
    "scope",
    "targets",
    "when",
    "do",
    "lease",
    "cooldown",
    "budget",
    "tests",
)
_LATER = ("arm", "protects", "probes", "slo", "pick", "expect", "onDrift")


def read_kind(node: Node) -> str:
    """`Policy` or `GuardRails`, after the version has been checked."""
    keys = Keys(node, ("apiVersion", "kind", "metadata", "spec"))
    version = keys.need("apiVersion")
    if version.value != API_VERSION:
        raise version.error(
            f'"{version.value}" is not a version this program reads (it reads "{API_VERSION}")'
        )
    return keys.choice("kind", KINDS)


def read_policy(node: Node) -> Policy:
    """One `kind: Policy` document; its tests are read apart (`enforcer.policy_tests`)."""
    keys = Keys(node, ("apiVersion", "kind", "metadata", "spec"))
    name, labels = _read_metadata(keys.need("metadata"))
    spec = Keys(keys.need("spec"), _SPEC, later=_LATER)
    scope = spec.choice("scope", (CONTAINER_SCOPE, NODE_SCOPE), CONTAINER_SCOPE)
    actions = read_actions(spec.need("do"), scope)
    cooldown_policy_sec, cooldown_target_sec = _read_cooldown(spec.get("cooldown"))
    return Policy(
        name=name,
        sha256=hashlib.sha256(repr(_plain(node)).encode()).hexdigest(),
        file=node.place.file,
        mode=_read_mode(spec),
        suspend=spec.flag("suspend", False),
        priority=spec.integer("priority", 0, 1000, 100),
        scope=scope,
        targets=_read_selector(spec.get("targets")),
        when=read_when(spec.need("when"), max_age_sec=_default_max_age(actions)),
        actions=actions,
        lease_sec=spec.duration("lease", 60.0, low=1.0, high=MAX_LEASE_SEC),
        cooldown_policy_sec=cooldown_policy_sec,
        cooldown_target_sec=cooldown_target_sec,
        budget=_read_budget(spec.get("budget")),
        labels=labels,
    )


def read_guard_rails(node: Node) -> GuardRails:
    """One `kind: GuardRails` document, with the defaults for what it leaves out."""
    keys = Keys(node, ("apiVersion", "kind", "metadata", "spec"))
    _read_metadata(keys.need("metadata"))
    spec = Keys(
        keys.need("spec"),
        ("protected", "floors", "ceilings", "blastRadius"),
        later=("killSpacing", "killArmed"),
    )
    default = GuardRails()
    blast = spec.get("blastRadius")
    radius = Keys(blast, ("fraction", "count", "per")) if blast is not None else None
    return GuardRails(
        protected=_read_selector(spec.get("protected")) if spec.has("protected") else default.protected,
        floors={**default.floors, **_read_bounds(spec.get("floors"))},
        ceilings=_read_bounds(spec.get("ceilings")),
        blast_fraction=radius.quantity("fraction", Unit.RATIO, 0.25) if radius else default.blast_fraction,
        blast_count=radius.integer("count", 0, 10_000, 10) if radius else default.blast_count,
        blast_per_sec=radius.duration("per", 3600.0, low=1.0) if radius else default.blast_per_sec,
    )


def _default_max_age(actions: Sequence[Action]) -> float:
    return 1.0 if any(isinstance(action, Freeze) for action in actions) else 3.0


def _read_metadata(node: Node) -> tuple[str, dict[str, str]]:
    keys = Keys(node, ("name", "labels"))
    name = keys.need("name")
    if not _NAME.fullmatch(read_text(name)):
        raise name.error(f'"{name.value}" is not a name: lower-case letters, digits and "-", at most 63')
    labels = keys.get("labels")
    return str(name.value), _read_labels(labels) if labels is not None else {}


def _read_labels(node: Node) -> dict[str, str]:
    return {key: read_text(value) for key, value in mapping_of(node).items()}


def _read_mode(spec: Keys) -> str:
    node = spec.get("mode")
    if node is not None and node.value == "propose":
        raise node.error('"propose" is not supported yet (modes: observe, enforce)')
    return spec.choice("mode", (OBSERVE, ENFORCE), OBSERVE)


def _read_selector(node: Node | None) -> Selector:
    if node is None:
        return Selector()
    keys = Keys(node, ("matchLabels", "matchExpressions", "names", "classes", "minAge"), later=("cgroups",))
    labels = keys.get("matchLabels")
    for item in keys.items("classes"):
        if item.value not in CLASSES:
            raise item.error(f'"{item.value}" is no class{did_you_mean(str(item.value), CLASSES)}')
    return Selector(
        labels=tuple(sorted(_read_labels(labels).items())) if labels is not None else (),
        expressions=tuple(_read_expression(item) for item in keys.items("matchExpressions")),
        names=keys.texts("names"),
        classes=keys.texts("classes"),
        min_age_sec=keys.duration("minAge", 0.0),
    )


def _read_expression(node: Node) -> Expression:
    keys = Keys(node, ("key", "operator", "values"))
    operator = keys.choice("operator", ("In", "NotIn", "Exists", "DoesNotExist"))
    values = keys.texts("values")
    if (operator in ("In", "NotIn")) != bool(values):
        raise node.error(f'operator {operator} {"needs" if not values else "takes no"} "values"')
    return Expression(keys.text("key"), operator, values)


def _read_cooldown(node: Node | None) -> tuple[float, float]:
    if node is None:
        return 0.0, 0.0
    keys = Keys(node, ("policy", "target"), later=("damper",))
    return keys.duration("policy", 0.0), keys.duration("target", 0.0)


def _read_budget(node: Node | None) -> Budget:
    if node is None:
        return Budget()
    keys = Keys(node, ("engagements", "per"))
    return Budget(keys.integer("engagements", 1, 100_000, 30), keys.duration("per", 3600.0, low=1.0))


def _read_bounds(node: Node | None) -> dict[str, float]:
    if node is None:
        return {}
    return {name: read_quantity(value, FIELDS[name].unit) for name, value in Keys(node, FIELDS).fields()}


def _plain(node: Node) -> object:
    match node.value:
        case dict() as mapping:
            return {key: _plain(value) for key, value in sorted(mapping.items())}
        case list() as items:
            return [_plain(item) for item in items]
        case scalar:
            return scalar
