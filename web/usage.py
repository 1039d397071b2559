"""The newest usage of one container, with the raw counters that it was derived from."""

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.names import Name
from web.scopes import READ
from web.views import usage_view
from web.wire import reply

router = APIRouter(tags=["usage"])


@router.get("/containers/{name}/usage", dependencies=[requires(READ)], responses=answers("UsageAnswer"))
async def read_usage(request: Request, name: Name) -> Response:
    """Usage and counters of the last sweep; all null for a container that no sweep has seen yet."""
    services, _ = parts_of(request)
    services.launcher.get(name)
    snapshot = services.monitor.latest()
    seen = None if snapshot is None else snapshot.containers.get(name)
    if seen is None:
        return reply({"taken_at": None, "age_sec": None, "stale": True, "usage": None, "sample": None})
    return reply(usage_view(seen, time.monotonic()))
