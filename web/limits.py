"""Limits of a running container: read with their owners, changed by merge patch, guarded by ETag."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from web.access import actor_of, requires
from web.bodies import read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.names import Name
from web.parts import LimitOutcomePart, Services
from web.problems import Invalid, RevisionChanged, at
from web.scopes import OPERATE, READ
from web.wire import encode, reply, to_wire

LONGEST_LEASE_SEC: Final = 30 * 24 * 3600.0

router = APIRouter(tags=["limits"])


@router.get("/containers/{name}/limits", dependencies=[requires(READ)], responses=answers("LimitFields"))
async def read_limits(request: Request, name: Name) -> Response:
    """Each limit as the kernel has it, with owner, baseline and end of lease; the ETag is for If-Match."""
    services, threads = parts_of(request)
    fields = await threads.read(services.enforcer.limits, name)
    revision = revision_of(fields)
    return reply({"fields": to_wire(fields), "revision": revision}, headers={"ETag": f'"{revision}"'})


@router.patch(
    "/containers/{name}/limits",
    dependencies=[requires(OPERATE)],
    responses=answers("LimitOutcome"),
    openapi_extra=takes("LimitPatch"),
)
async def change_limits(
    request: Request,
    name: Name,
    dry_run: Annotated[bool, Query()] = False,
    force: Annotated[bool, Query()] = False,
    lease_sec: Annotated[float | None, Query(gt=0, le=LONGEST_LEASE_SEC, allow_inf_nan=False)] = None,
    reason: Annotated[str, Query(max_length=1000)] = "",
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Change the named limits: all of them or none. `null` or "max" lifts one; a dry run lists the writes."""
    services, threads = parts_of(request)
    wanted = await read_object(request)

    def change() -> tuple[LimitOutcomePart, Any]:
        require_revision(services, name, if_match)
        outcome = services.enforcer.set_limits(
            name,
            {field: "max" if value is None else value for field, value in wanted.items()},
            owner=actor_of(request),
            reason=reason or "asked for over the API",
            lease_sec=lease_sec,
            force=force,
            dry_run=dry_run,
        )
        return outcome, services.enforcer.limits(name)

    outcome, fields = await threads.change(change)
    return reply(outcome_view(name, outcome, fields), headers={"ETag": f'"{revision_of(fields)}"'})


@router.delete(
    "/containers/{name}/limits", dependencies=[requires(OPERATE)], responses=answers("LimitOutcome")
)
async def release_limits(
    request: Request,
    name: Name,
    field: Annotated[list[str] | None, Query(max_length=100)] = None,
    force: Annotated[bool, Query()] = False,
    reason: Annotated[str, Query(max_length=1000)] = "",
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Give back one's own changes, all or those of the named fields: the next owner's value holds again.

    Where that is below the present usage, only with `force`.
    """
    services, threads = parts_of(request)

    def release() -> tuple[LimitOutcomePart, Any]:
        require_revision(services, name, if_match)
        known = services.enforcer.limits(name)
        for one in field or ():
            if one not in known:
                raise Invalid(f"{one} is no limit of this container", [at("?field", "no such limit")])
        outcome = services.enforcer.release(
            name,
            field or list(known),
            owner=actor_of(request),
            reason=reason or "given back over the API",
            force=force,
        )
        return outcome, services.enforcer.limits(name)

    outcome, fields = await threads.change(release)
    return reply(outcome_view(name, outcome, fields), headers={"ETag": f'"{revision_of(fields)}"'})


def require_revision(services: Services, name: str, if_match: str | None) -> None:
    """Refuse a change by someone who has not seen the present limits."""
    if if_match is None or if_match.strip() == "*":
        return
    revision = revision_of(services.enforcer.limits(name))
    if f'"{revision}"' not in [tag.strip() for tag in if_match.split(",")]:
        raise RevisionChanged(f"the limits of {name!r} are at revision {revision} now")


def revision_of(fields: Mapping[str, Mapping[str, Any]]) -> str:
    """A short name of exactly these values, owners and leases; it changes with any of them, by drift too."""
    return hashlib.sha256(encode(to_wire(dict(sorted(fields.items()))))).hexdigest()[:16]


def outcome_view(
    name: str, outcome: LimitOutcomePart, fields: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What came of it, write by write, and the limits now."""
    return {
        "name": name,
        "changed": outcome.changed and outcome.status != "planned",
        "status": outcome.status,
        "decision": outcome.decision,
        "writes": [to_wire(write) for write in outcome.writes],
        "limits": {field: to_wire(told["value"]) for field, told in fields.items()},
    }
