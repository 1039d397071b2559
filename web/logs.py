"""What a container wrote: as text, or as JSON lines with time and stream; `follow` goes on until it ends."""

import base64
import threading
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from launcher import LogLine
from web.access import requires
from web.containers import parts_of
from web.flows import flowing
from web.names import Name
from web.scopes import READ
from web.wire import encode

_TAIL_MAX: Final = 100_000
_LINES_AT_ONCE: Final = 500

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
    services, _ = parts_of(request)
    services.launcher.get(name)
    gone = threading.Event()
    lines = services.launcher.read_log(name, tail=tail, follow=follow, since=since, stopped=gone.is_set)
    encode_line, media = (
        (line_as_json, "application/jsonl") if format == "jsonl" else (line_as_text, "text/plain")
    )
    return flowing(request, lines, encode_line, media, at_once=1 if follow else _LINES_AT_ONCE, stop=gone.set)


def line_as_json(line: LogLine) -> bytes:
    """One line with its time; bytes that are no UTF-8 are replaced, and stand beside it as they were."""
    told = {"time": line.time, "stream": line.stream, "partial": line.partial}
    try:
        told["data"] = line.data.decode("utf-8")
    except UnicodeDecodeError:
        told["data"] = line.data.decode("utf-8", "replace")
        told["data_b64"] = base64.b64encode(line.data).decode("ascii")
    return encode(told) + b"\n"


def line_as_text(line: LogLine) -> bytes:
    """The bytes as they were written."""
    return line.data if line.partial or line.data.endswith(b"\n") else line.data + b"\n"
