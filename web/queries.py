"""Query strings, as strict as bodies: a mistyped `?dryrun=true` must not become a real change."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from fastapi import Request
from fastapi.routing import APIRoute

from web.problems import BadRequest, at

_RULES: Final = {"gt": "above {}", "ge": "from {}", "le": "up to {}", "max_length": "no longer than {}"}
_KINDS: Final = {bool: "true or false", float: "a number", int: "a whole number", str: "a text"}


async def refuse_unknown_query(request: Request) -> None:
    """A dependency of the whole application: each parameter must be known to the route, and stand once."""
    if not request.url.query:
        return
    route = request.scope.get("route")
    known = known_parameters(route) if isinstance(route, APIRoute) else []
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            options = ", ".join(known) or "none"
            raise BadRequest(
                f"unknown parameter {name[:40]!r} (known here: {options})", [at(f"?{name[:40]}", "unknown")]
            )
        if given.count(name) > 1:
            raise BadRequest(f"the parameter {name!r} stands twice", [at(f"?{name}", "given more than once")])


def known_parameters(route: APIRoute) -> list[str]:
    """The query parameters that a route reads."""
    return [field.alias for field in route.dependant.query_params]


def complain(request: Request, found: Mapping[str, Any]) -> tuple[str, str]:
    """Where in the request the framework found a mistake, and what would be right there, in our words."""
    kind, *rest = found["loc"]
    name = str(rest[0]) if rest else ""
    if kind != "query":
        return f"{kind}:{name}", str(found["msg"])
    return f"?{name}", f"must be {wanted_by(request.scope['route'], name)}"


def wanted_by(route: APIRoute, name: str) -> str:
    """What a query parameter takes, such as "a number above 0 up to 2592000"."""
    info = next(field for field in route.dependant.query_params if field.alias == name).field_info
    options = get_args(info.annotation)
    if words := [option for option in options if isinstance(option, str)]:
        return " or ".join(words)
    kind = next((told for kind, told in _KINDS.items() if kind in (info.annotation, *options)), "a list")
    rules = {
        key: f"{int(getattr(rule, key))}" for rule in info.metadata for key in _RULES if hasattr(rule, key)
    }
    return " ".join([kind, *(_RULES[key].format(value) for key, value in rules.items())])
