"""Groups as resources: list, create, look at, remove; their limits are changed as those of containers are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from launcher.groups import Group
from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.limits import change_limits, read_limits, release_limits
from web.names import Name
from web.parts import Services
from web.problems import Invalid, at
from web.scopes import ADMIN, OPERATE, READ
from web.wire import reply, to_wire

router = APIRouter(tags=["groups"])


@router.get("/groups", dependencies=[requires(READ)], responses=answers("GroupList"))
async def list_groups(request: Request) -> Response:
    """All groups, with the limits that the kernel has and the containers that are in them."""
    services, threads = parts_of(request)

    def read() -> list[dict[str, Any]]:
        return [group_view(services, group) for group in services.launcher.groups.all()]

    return reply({"groups": await threads.read(read)})


@router.post(
    "/groups",
    status_code=201,
    dependencies=[requires(ADMIN)],
    responses=answers("Group", status=201),
    openapi_extra=takes("NewGroup"),
)
async def create_group(request: Request) -> Response:
    """Make a group: a cgroup between the parent and containers, whose limits these share."""
    services, threads = parts_of(request)
    wish = await read_object(request)
    limits = wish.pop("limits", None) or {}
    fields = Fields(wish)
    name = fields.text("name", most=100)
    fields.finish()
    if name is None:
        raise Invalid("name is missing", [at("/name", "the group's name")])

    def make() -> dict[str, Any]:
        return group_view(services, services.launcher.groups.create(name, limits))

    return reply(await threads.change(make), 201, {"Location": f"/api/v1/groups/{name}"})


@router.get("/groups/{name}", dependencies=[requires(READ)], responses=answers("Group"))
async def inspect_group(request: Request, name: Name) -> Response:
    """One group; its limits are read from the kernel now."""
    services, threads = parts_of(request)
    return reply(await threads.read(lambda: group_view(services, services.launcher.groups.get(name))))


@router.delete("/groups/{name}", status_code=204, dependencies=[requires(ADMIN)])
async def remove_group(request: Request, name: Name) -> Response:
    """Remove a group that no container is in, not even one that has ended."""
    services, threads = parts_of(request)
    await threads.change(services.launcher.groups.remove, name)
    return Response(status_code=204)


_LIMITS = "/groups/{name}/limits"
router.get(
    _LIMITS, dependencies=[requires(READ)], responses=answers("LimitFields"), name="read_group_limits"
)(read_limits)
router.patch(
    _LIMITS,
    dependencies=[requires(OPERATE)],
    responses=answers("LimitOutcome"),
    openapi_extra=takes("LimitPatch"),
    name="change_group_limits",
)(change_limits)
router.delete(
    _LIMITS, dependencies=[requires(OPERATE)], responses=answers("LimitOutcome"), name="release_group_limits"
)(release_limits)


def group_view(services: Services, group: Group) -> dict[str, Any]:
    """A group as the API tells it."""
    fields = services.enforcer.limits(group.name)
    return {
        "name": group.name,
        "created_at": group.created_at,
        "containers": services.launcher.groups.members(group.name),
        "spec_limits": to_wire(group.limits),
        "limits": {name: to_wire(told["value"]) for name, told in fields.items()},
        "owners": {name: told["owner"] for name, told in fields.items() if told.get("owner")},
        "cgroups": {} if group.cgroup is None else dict(group.cgroup.paths()),
    }
