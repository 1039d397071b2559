"""What a container wrote: as text, or as JSON lines with time and stream; `follow` goes on until it ends."""

import threading
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from web.access import requires
from web.containers import parts_of
from web.flows import flowing
from web.loglines import line_as_json, line_as_text
from web.names import Name
from web.scopes import READ

_TAIL_MAX: Final = 100_000

router = APIRouter(tags=["containers"])


@router.get("/containers/{name}/logs", dependencies=[requires(READ)], response_class=StreamingResponse)
async def read_logs(
    request: Request,
    name: Name,
    tail: Annotated[int | None, Query(ge=0, le=_TAIL_MAX)] = None,
    follow: Annotated[bool, Query()] = False,
    since: Annotated[str | None, Query(max_length=40)] = None,
    format: Annotated[Literal["text", "jsonl"], Query()] = "text",
) -> Response:
    """Standard output and standard error. `text` is what was written, byte for byte."""
    services, threads = parts_of(request)
    gone = threading.Event()
    lines = await threads.read(
        services.launcher.read_log, name, tail=tail, follow=follow, since=since, stopped=gone.is_set
    )
    encode_line, media = (
        (line_as_json, "application/jsonl") if format == "jsonl" else (line_as_text, "text/plain")
    )
    return flowing(request, lines, encode_line, media, stop=gone.set)
