"""The event log: as pages, or as a stream for those who accept one."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from monitor import Event
from web.access import requires
from web.containers import parts_of
from web.doc import answers
from web.scopes import READ
from web.stream import Client, parse_last_id, streaming
from web.wire import reply

_PAGE_MAX: Final = 1000
_LARGEST_ID: Final = 2**63 - 1

router = APIRouter(tags=["events"])


@router.get("/events", dependencies=[requires(READ)], responses=answers("EventPage"))
async def list_events(
    request: Request,
    after: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 200,
    container: Annotated[str | None, Query(max_length=63)] = None,
    type: Annotated[str | None, Query(max_length=400, description="Types, separated by commas.")] = None,
    newest: Annotated[bool, Query(description="The newest ones, also with `after`.")] = False,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events after an id, oldest first; without one the newest. `Accept: text/event-stream` follows."""
    services, threads = parts_of(request)
    types = None if type is None else [word for word in type.split(",") if word]
    if "text/event-stream" in accept:
        client = Client(frozenset({"events"}), accepting(container, types))
        start = parse_last_id(last_event_id)
        return streaming(request.app.state.streams, client, after if start is None else start)
    events = await threads.read(
        services.events.page, after or 0, limit, container, types, newest=newest or after is None
    )
    last_id = events[-1].id if events else after or 0
    return reply({"events": [event.to_wire() for event in events], "last_id": last_id})


def accepting(container: str | None, types: Sequence[str] | None) -> Callable[[Event], bool]:
    """Which events a follower asked for."""

    def accepts(event: Event) -> bool:
        is_of_container = container is None or event.container_name == container
        return is_of_container and (types is None or event.type in types)

    return accepts
