"""Attached to a container: its output flows out in one answer, what is typed comes by requests of its own.

Two ways in place of one that goes both: a browser cannot send a body while it reads the answer, proxies
collect bodies, and a request that is never complete could have no deadline. Each piece of input is a small
request, checked as any other; the answer that flows names the attachment it is for.
"""

import asyncio
import base64
import binascii
import secrets
import threading
from collections.abc import Generator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from web.access import requires
from web.bodies import Fields, read_object
from web.doc import answers, takes
from web.flows import flowing
from web.loglines import line_as_json
from web.names import Name
from web.parts import AttachedPart, InputPart, Services
from web.problems import Invalid, Kind, Problem, at
from web.scopes import ADMIN
from web.threads import Threads
from web.wire import encode, reply

LARGEST_SIZE: Final = 9999
_INPUT_MOST: Final = 700_000
_PATIENCE_SEC: Final = 5.0
_AGAIN_SEC: Final = 0.01
_UNKNOWN: Final = Kind("unknown-attachment", 404, "Nobody is attached under this id")

router = APIRouter(tags=["containers"])


class Attachments:
    """Who is attached now, by an id that cannot be guessed. Used on the event loop alone."""

    def __init__(self) -> None:
        self._open: dict[str, InputPart] = {}

    def add(self, part: InputPart) -> str:
        """From now on input is taken for it."""
        key = secrets.token_hex(16)
        self._open[key] = part
        return key

    def drop(self, key: str | None) -> None:
        """It has come to its end."""
        self._open.pop(key or "", None)

    def get(self, key: str) -> InputPart:
        """Problem 404 where there is none."""
        if key not in self._open:
            raise Problem("it has ended, or never was there", kind=_UNKNOWN)
        return self._open[key]


def attachments_of(request: Request) -> Attachments:
    """The application's."""
    attachments: Attachments = request.app.state.attachments
    return attachments


@router.post(
    "/containers/{name}/attach",
    dependencies=[requires(ADMIN)],
    responses=answers("AttachedLine"),
    openapi_extra=takes("AttachWish", required=False),
)
async def attach_to_container(request: Request, name: Name) -> Response:
    """What the container writes from now on, as JSON lines: first `{"attachment", "tty", "stdin"}`, then
    `{"stream", "data_b64"}`, last `{"exit_code"}`, or `{"cut"}` with the reason where it runs on. A client
    that does not read is cut off; the container waits for none.
    """
    services: Services = request.app.state.services
    threads: Threads = request.app.state.threads
    fields = Fields(await read_object(request))
    size = read_size(fields)
    fields.finish()
    threads.require_room()
    run = await threads.change(services.launcher.attach, name)
    if size is not None and run.live is not None:
        run.live.resize(*size)
    return follow_live(request, run, {}, 200)


def follow_live(request: Request, run: AttachedPart, first: dict[str, Any], status: int) -> Response:
    """The output of a terminal, or of whoever is attached, byte by byte as it comes."""
    live = run.live
    assert live is not None
    key = attachments_of(request).add(live)
    first |= {"attachment": key, "tty": live.tty, "stdin": live.takes_input}

    def lines() -> Generator[bytes, None, None]:
        yield encode(first) + b"\n"
        for chunk in live:
            yield chunk_as_json(chunk)
        why = run.why_cut()
        yield encode({"exit_code": run.exit_code} if why is None else {"cut": why}) + b"\n"

    def stop() -> None:
        attachments_of(request).drop(key)
        run.hang_up(end_input=False)

    return flowing(request, lines(), bytes, "application/jsonl", status=status, stop=stop)


def follow_log(request: Request, run: AttachedPart, view: dict[str, Any]) -> Response:
    """The whole output of a container without a terminal, from its log: however slowly it is taken."""
    gone = threading.Event()
    key = None if run.live is None else attachments_of(request).add(run.live)
    first = {"container": view} | ({} if key is None else {"attachment": key})

    def lines() -> Generator[bytes, None, None]:
        yield encode(first) + b"\n"
        for line in run.output(gone.is_set):
            yield line_as_json(line)

    def stop() -> None:
        gone.set()
        attachments_of(request).drop(key)
        # The daemon's own end closes no input: the container goes on, and can be attached to again.
        run.hang_up(end_input=not request.app.state.streams.closing.is_set())

    def last() -> bytes:
        return encode({"exit_code": run.exit_code}) + b"\n"

    return flowing(request, lines(), bytes, "application/jsonl", status=201, last=last, stop=stop)


@router.post(
    "/attachments/{id}",
    dependencies=[requires(ADMIN)],
    responses=answers("InputTaken"),
    openapi_extra=takes("Input"),
)
async def send_input(
    request: Request, id: Annotated[str, Path(description="As the answer that flows has told it.")]
) -> Response:
    """Bytes for the program's input, its end (`eof`), the terminal's size, or `detach`: the program that
    `exec` started goes on when the client hangs up. Answered once they are taken, or after five seconds with
    as many as were; `ended` tells whether the end was taken too. What was not is to be sent again.
    """
    part = attachments_of(request).get(id[:64])
    fields = Fields(await read_object(request))
    data, size = read_data(fields), read_size(fields)
    eof, detach = fields.flag("eof"), fields.flag("detach")
    fields.finish()
    if detach:
        part.detach()
    if size is not None:
        part.resize(*size)
    try:
        taken = await _feed(part, data)
    except BrokenPipeError as error:
        raise Problem(str(error.strerror), kind=_UNKNOWN) from None
    ended = eof and taken == len(data) and await _end(part)
    return reply({"taken_bytes": taken, "ended": ended})


async def _feed(part: InputPart, data: bytes) -> int:
    """BrokenPipeError where nobody takes it any more.

    Nothing here waits in a thread: those who do not read their input must not use up any.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_SEC
    taken = 0
    while taken < len(data):
        count = part.write(data[taken : taken + 65536])
        taken += count
        if not count:
            if loop.time() > deadline:
                break
            await asyncio.sleep(_AGAIN_SEC)
    return taken


async def _end(part: InputPart) -> bool:
    for _ in range(int(_PATIENCE_SEC / _AGAIN_SEC)):
        if part.end_input():
            return True
        await asyncio.sleep(_AGAIN_SEC)
    return False


def read_data(fields: Fields) -> bytes:
    """`data_b64`, decoded."""
    text = fields.text("data_b64", most=_INPUT_MOST) or ""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("data_b64 is not base64", [at("/data_b64", "must be base64")]) from None


def read_size(fields: Fields) -> tuple[int, int] | None:
    """`rows` and `columns` of the client's terminal; None where either is not told."""
    rows = fields.number("rows", least=0, most=LARGEST_SIZE)
    columns = fields.number("columns", least=0, most=LARGEST_SIZE)
    return None if not rows or not columns else (int(rows), int(columns))


def chunk_as_json(chunk: tuple[str, bytes]) -> bytes:
    """A piece of output; base64, because it can be cut in the middle of a character."""
    stream, data = chunk
    return encode({"stream": stream, "data_b64": base64.b64encode(data).decode("ascii")}) + b"\n"
