"""The host: totals of the last sweep, which hierarchy serves which controller, what is missing (doctor)."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.parts import Services
from web.scopes import READ
from web.views import host_frame
from web.wire import reply, to_wire

router = APIRouter(tags=["host"])


@router.get("/host", dependencies=[requires(READ)], responses=answers("Host"))
async def read_host(request: Request) -> Response:
    """Usage of the whole host, and which hierarchy serves which controller."""
    services, threads = parts_of(request)
    return reply(await threads.read(_host, services))


@router.get("/doctor", dependencies=[requires(READ)], responses=answers("Doctor"))
async def read_doctor(request: Request) -> Response:
    """What this host offers, what is missing, and what to do about it."""
    services, threads = parts_of(request)
    return reply(to_wire(await threads.read(services.doctor)))


def _host(services: Services) -> dict[str, Any]:
    snapshot = services.monitor.latest()
    usage = {} if snapshot is None else host_frame(snapshot)
    return usage | {"hierarchies": to_wire(services.hierarchies()), "info": to_wire(services.info)}
