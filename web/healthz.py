"""Is it alive, open to everyone: whether sweeps still happen, and in a few words what works less well."""

import time
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.scopes import OPEN, READ
from web.wire import reply, to_wire

_SILENT_SEC: Final = 30.0

router = APIRouter(tags=["service"])


@router.get("/healthz", dependencies=[requires(OPEN)], responses=answers("Health"))
async def read_health(request: Request) -> Response:
    """200 while sweeps happen, be it `degraded` for `reasons`; 503 once there was none for half a minute."""
    services, _ = parts_of(request)
    snapshot = services.monitor.latest()
    age_sec = None if snapshot is None else round(time.monotonic() - snapshot.taken_at, 3)
    reasons = services.health().reasons()
    alive = age_sec is None or age_sec < _SILENT_SEC
    status = ("degraded" if reasons else "ok") if alive else "stale"
    told = {"status": status, "sweep_age_sec": age_sec, "reasons": reasons}
    return reply(told, 200 if alive else 503)


@router.get("/api/v1/version", dependencies=[requires(READ)], responses=answers("Version"))
async def read_version(request: Request) -> Response:
    """Which daemon this is: version, boot, start and addresses."""
    services, _ = parts_of(request)
    return reply(to_wire(services.info))
