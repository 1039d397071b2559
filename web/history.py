"""The last minutes as columns for charts: min, average and max per point, limits as series, events."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor import HOST_METRICS, Usage
from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.names import Name
from web.parts import Services
from web.problems import Invalid, at
from web.scopes import READ
from web.wire import reply, rfc3339, to_wire

HOST: Final = ""  # not "host": a container may be called that
_METRICS_MAX: Final = 60
_EVENTS_MAX: Final = 500

router = APIRouter(tags=["usage"])

Metrics = Annotated[str, Query(max_length=4000, description="Names separated by commas; all when empty.")]
Since = Annotated[float, Query(gt=0, le=366 * 24 * 3600, allow_inf_nan=False)]
Points = Annotated[int | None, Query(ge=2, le=2000)]


@router.get("/containers/{name}/history", dependencies=[requires(READ)], responses=answers("History"))
async def read_history(
    request: Request, name: Name, metrics: Metrics = "", since_sec: Since = 900.0, points: Points = 300
) -> Response:
    """The history of one container, with its events in that time."""
    services, threads = parts_of(request)
    if name not in services.monitor.history.names():
        services.launcher.get(name)
    wanted = parse_metrics(metrics) or list(Usage._fields)
    return reply(await threads.read(_history, services, name, wanted, since_sec, points))


@router.get("/host/history", dependencies=[requires(READ)], responses=answers("History"), tags=["host"])
async def read_host_history(
    request: Request, metrics: Metrics = "", since_sec: Since = 900.0, points: Points = 300
) -> Response:
    """The host's own history."""
    services, threads = parts_of(request)
    wanted = parse_metrics(metrics) or list(HOST_METRICS)
    return reply(await threads.read(_history, services, HOST, wanted, since_sec, points))


def parse_metrics(text: str) -> list[str]:
    """Names separated by commas, each once."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) > _METRICS_MAX:
        raise Invalid(f"at most {_METRICS_MAX} metrics", [at("?metrics", "too many")])
    return names


def _history(
    services: Services, name: str, metrics: list[str], since_sec: float, points: int | None
) -> dict[str, Any]:
    page = services.monitor.history.query(name, metrics, since_sec, points)
    events: list[Any] = []
    if name != HOST and page.t:
        newest = services.events.page(limit=_EVENTS_MAX, container=name, newest=True)
        events = [event.to_wire() for event in newest if event.time >= rfc3339(page.t[0])]
    return {"t": [round(t, 3) for t in page.t], "metrics": to_wire(page.columns), "events": events}
