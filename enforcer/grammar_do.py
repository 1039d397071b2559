"""The `do` part of a policy: the verbs of this stage, with bounds that keep a policy from running away."""

from __future__ import annotations

from enforcer.document import Node
from enforcer.fields import CPU_QUOTA, FIELDS, Field, Unit
from enforcer.keys import Keys, did_you_mean, items_of, read_quantity, read_text
from enforcer.policy import NODE_SCOPE, Action, Change, Freeze, Suppress

_VERBS = ("scale", "set", "step", "control", "freeze")
_LATER_VERBS = ("thaw", "kill", "move", "netRate", "notify", "run")
_LATER_FIELDS = (
    "cpu.burst",
    "cpu.weight",
    "memory.min",
    "memory.low",
    "memory.high",
    "swap.max",
    "io.max",
    "io.weight",
)
_LAWS = ("suppress",)
_LATER_LAWS = ("burst", "senpai", "aimd", "slo")
MAX_FREEZE_SEC = 60.0


def read_actions(node: Node, scope: str) -> tuple[Action, ...]:
    """The ordered actions; each item of the list holds one verb."""
    items = items_of(node)
    if not items:
        raise node.error("must hold at least one action")
    actions = tuple(_read_action(item, scope) for item in items)
    touched = [action.field.name for action in actions if not isinstance(action, Freeze)]
    if len(touched) != len(set(touched)):
        raise node.error("two actions of one policy change the same field")
    return actions


def _read_action(node: Node, scope: str) -> Action:
    keys = Keys(node, _VERBS, later=(*_LATER_VERBS, "after", "if"))
    verbs = [verb for verb in _VERBS if keys.has(verb)]
    if len(verbs) != 1:
        raise node.error(f"must hold exactly one of {', '.join(_VERBS)}")
    verb, body = verbs[0], keys.need(verbs[0])
    match verb:
        case "freeze":
            return _read_freeze(body)
        case "control":
            return _read_control(body, scope)
        case _:
            return _read_change(verb, body)


def _read_freeze(node: Node) -> Freeze:
    keys = Keys(node, ("for",))
    if not keys.has("for"):
        raise node.error('a freeze by a policy needs an end: the key "for" is missing')
    return Freeze(keys.duration("for", 0.0, low=1.0, high=MAX_FREEZE_SEC))


def _read_field(node: Node) -> Field:
    name = read_text(node)
    if name in _LATER_FIELDS:
        raise node.error(f'the field "{name}" is not supported yet')
    if name not in FIELDS:
        raise node.error(f'unknown field "{name}"{did_you_mean(name, FIELDS)}')
    return FIELDS[name]


def _read_change(verb: str, node: Node) -> Change:
    amount_key = "to" if verb == "set" else "by"
    keys = Keys(node, ("field", amount_key, "floor", "ceiling"))
    field = _read_field(keys.need("field"))
    amount_node = keys.need(amount_key)
    amount = read_quantity(amount_node, Unit.RATIO if verb == "scale" else field.unit)
    change = Change(
        verb, field, amount, keys.optional("floor", field.unit), keys.optional("ceiling", field.unit)
    )
    _check_amount(change, amount_node)
    _check_bounds(change, node)
    return change


def _check_amount(change: Change, node: Node) -> None:
    if change.verb == "scale" and not 0.1 <= change.amount <= 10:
        raise node.error("a factor must lie between 10% and 1000%")
    if change.verb == "set" and change.amount <= 0:
        raise node.error("must be more than 0")
    if (change.verb == "scale" and change.amount == 1) or (change.verb == "step" and change.amount == 0):
        raise node.error("changes nothing")


def _check_bounds(change: Change, node: Node) -> None:
    grows = change.amount > (1 if change.verb == "scale" else 0)
    if change.verb != "set" and grows and change.ceiling is None:
        raise node.error('an action that raises a limit needs a "ceiling"')
    if change.verb != "set" and not grows and change.floor is None:
        raise node.error('an action that lowers a limit needs a "floor"')
    if change.floor is not None and change.ceiling is not None and change.floor > change.ceiling:
        raise node.error('"floor" lies above "ceiling"')


def _read_control(node: Node, scope: str) -> Suppress:
    keys = Keys(
        node,
        ("field", "law", "target", "reserve", "floor", "up", "deadBand", "split"),
        later=("wheel", "device", "beta", "add", "clean", "down", "watch", "rest", "pause"),
    )
    _read_law(keys.need("law"))
    field = _read_field(keys.need("field"))
    if field is not CPU_QUOTA:
        raise keys.need("field").error(f"the law suppress steers {CPU_QUOTA.name} alone")
    if scope != NODE_SCOPE:
        raise node.error('the law suppress shares out the node: it needs "scope: node"')
    return Suppress(
        field=field,
        target_fraction=_share(keys, "target", 0.65, low=0.05),
        reserve_cores=keys.quantity("reserve", Unit.CORES, 0.0),
        floor_cores=keys.quantity("floor", Unit.CORES, 0.05),
        up_fraction=_share(keys, "up", 0.10, low=0.01),
        dead_band_fraction=_share(keys, "deadBand", 0.01, low=0.0),
        by_weight=keys.choice("split", ("weight", "equal"), "weight") == "weight",
    )


def _read_law(node: Node) -> None:
    law = read_text(node)
    if law in _LATER_LAWS:
        raise node.error(f'the law "{law}" is not supported yet')
    if law not in _LAWS:
        raise node.error(f'unknown law "{law}"{did_you_mean(law, _LAWS)}')


def _share(keys: Keys, key: str, default: float, *, low: float) -> float:
    value = keys.quantity(key, Unit.RATIO, default)
    if not low <= value <= 1:
        raise (keys.get(key) or keys.node).error(f"must lie between {low:.0%} and 100%")
    return value
