"""GET /metrics: rendered once a sweep and kept, compressed too, however many ask."""

import asyncio
import gzip
from collections import Counter
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from monitor import Event, Snapshot
from web.access import MetricsCheck
from web.exposition import Page
from web.metric_rows import Labels, rows_of
from web.metrics_containers import write_containers
from web.metrics_daemon import Counts, write_daemon
from web.metrics_host import write_host
from web.parts import Services
from web.stream import Streams

_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["metrics"])


class Metrics:
    """The text of the last sweep, and what is counted between sweeps."""

    def __init__(self, services: Services, streams: Streams, *, cadvisor_names: bool) -> None:
        self._services = services
        self._streams = streams
        self._cadvisor_names = cadvisor_names
        self._labels = Labels()
        self._lock = asyncio.Lock()
        self._tick: int | None = None
        self._plain = b""
        self._packed = b""
        self._events: Counter[tuple[str, str, str]] = Counter()
        self._last_event_id = 0
        self.answers: Counter[tuple[str, int]] = Counter()

    def count_event(self, event: Event) -> None:
        """Called for each event, from whichever thread appended it."""
        policy = event.actor_name if event.actor_kind == "policy" else ""
        self._events[event.type, event.actor_kind, policy] += 1
        self._last_event_id = max(self._last_event_id, event.id)

    async def body(self, *, packed: bool) -> bytes:
        """The text as of the last sweep."""
        async with self._lock:
            snapshot = self._services.monitor.latest()
            if snapshot is None or snapshot.tick != self._tick:
                await self._refresh(snapshot)
        return self._packed if packed else self._plain

    async def _refresh(self, snapshot: Snapshot | None) -> None:
        self._plain = await asyncio.to_thread(self.render, snapshot)
        self._packed = await asyncio.to_thread(gzip.compress, self._plain, 1)
        self._tick = None if snapshot is None else snapshot.tick

    def render(self, snapshot: Snapshot | None) -> bytes:
        """The whole page."""
        page = Page()
        counts = Counts(dict(self._events), self._last_event_id, dict(self.answers), self._streams.clients)
        write_daemon(page, self._services, snapshot, counts)
        if snapshot is not None:
            write_host(page, snapshot.host)
            rows = rows_of(self._services, snapshot, self._labels)
            write_containers(page, rows, cadvisor_names=self._cadvisor_names)
        return page.encode()


@router.get("/metrics", dependencies=[Depends(MetricsCheck())], response_class=Response)
async def read_metrics(request: Request) -> Response:
    """Everything for Prometheus, in its text format."""
    metrics: Metrics = request.app.state.metrics
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return Response(
        await metrics.body(packed=packed), 200, headers | {"Vary": "Accept-Encoding"}, _MEDIA_TYPE
    )
