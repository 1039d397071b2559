"""Query strings, as strict as bodies: a mistyped `?dryrun=true` must not become a real change."""

from fastapi import Request
from fastapi.routing import APIRoute

from web.problems import BadRequest, at


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
