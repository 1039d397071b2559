"""Freeze and thaw: idempotent, with holders, so that one who thaws does not take away another's freeze."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import actor_of, requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.limits import LONGEST_LEASE_SEC
from web.names import Name
from web.parts import FreezeOutcomePart
from web.scopes import OPERATE
from web.wire import reply, to_wire

_DEFAULT_TIMEOUT_SEC: Final = 10.0

router = APIRouter(tags=["containers"])


@router.post(
    "/containers/{name}/freeze",
    dependencies=[requires(OPERATE)],
    responses=answers("FreezeOutcome"),
    openapi_extra=takes("FreezeWish", required=False),
)
async def freeze_container(request: Request, name: Name) -> Response:
    """Hold the container frozen until a thaw or the lease's end; on the time-out it is thawed again (504)."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    reason = fields.text("reason")
    lease_sec = fields.number("lease_sec", least=0.1, most=LONGEST_LEASE_SEC)
    timeout_sec = fields.number("timeout_sec", least=0.1, most=600)
    fields.finish()
    outcome = await threads.change(
        services.enforcer.freeze,
        name,
        owner=actor_of(request),
        reason=reason or "asked for over the API",
        lease_sec=lease_sec,
        timeout_sec=timeout_sec or _DEFAULT_TIMEOUT_SEC,
    )
    return reply(freezer_view(name, outcome))


@router.post(
    "/containers/{name}/thaw",
    dependencies=[requires(OPERATE)],
    responses=answers("FreezeOutcome"),
    openapi_extra=takes("ThawWish", required=False),
)
async def thaw_container(request: Request, name: Name) -> Response:
    """End one's own hold; with `force` everyone's. `holders` says who still holds it."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    force = fields.flag("force")
    fields.finish()
    outcome = await threads.change(services.enforcer.thaw, name, owner=actor_of(request), force=force)
    return reply(freezer_view(name, outcome))


def freezer_view(name: str, outcome: FreezeOutcomePart) -> dict[str, Any]:
    """What came of it, and who holds the container frozen now."""
    return {
        "name": name,
        "changed": outcome.changed,
        "state": "frozen" if outcome.state == "frozen" else "running",
        "holders": to_wire(outcome.holders),
        "decision": outcome.decision,
    }
