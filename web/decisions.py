"""Why limits changed: decision records, and the policies that make them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.scopes import READ
from web.wire import reply, to_wire

router = APIRouter(tags=["decisions"])


@router.get("/decisions", dependencies=[requires(READ)], responses=answers("DecisionPage"))
async def list_decisions(
    request: Request,
    container: Annotated[str | None, Query(max_length=63)] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Decisions, refusals and near misses, of one container or of all."""
    services, threads = parts_of(request)
    found = await threads.read(services.enforcer.decisions, container, after, limit)
    return reply({"decisions": to_wire(found)})


@router.get("/decisions/{id}", dependencies=[requires(READ)], responses=answers("Decision"))
async def read_decision(request: Request, id: Annotated[str, Path(max_length=40)]) -> Response:
    """One decision with its evidence, its writes and what came of them."""
    services, threads = parts_of(request)
    return reply(to_wire(await threads.read(services.enforcer.decision, id)))


@router.get("/policies", dependencies=[requires(READ)], responses=answers("PolicyList"))
async def list_policies(request: Request) -> Response:
    """The policies in force, with mode and state."""
    services, threads = parts_of(request)
    return reply({"policies": to_wire(await threads.read(services.enforcer.policies))})
