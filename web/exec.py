"""Run a program in a running container: its output as JSON lines as it comes, its exit code as the last."""

from collections.abc import Generator
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from launcher import Stdio
from web.access import requires
from web.attach import attachments_of, chunk_as_json, read_size
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import takes
from web.flows import flowing
from web.names import Name
from web.parts import ExecPart
from web.problems import Invalid, at
from web.scopes import ADMIN
from web.wire import encode

_ARGUMENTS_MAX: Final = 10_000

router = APIRouter(tags=["containers"])


@router.post(
    "/containers/{name}/exec",
    dependencies=[requires(ADMIN)],
    response_class=StreamingResponse,
    openapi_extra=takes("ExecWish"),
)
async def exec_in_container(request: Request, name: Name) -> Response:
    """Start `command` in the container's namespaces and cgroup; it is killed when the client hangs up.

    With `stdin` or `tty` the first line is `{"attachment": ID}`: what it shall read goes to /attachments/ID.
    """
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    command = fields.texts("command", most=_ARGUMENTS_MAX)
    env = fields.mapping("env") or {}
    workdir, user = fields.text("workdir", most=4096), fields.text("user", most=100)
    stdin, tty, size = fields.flag("stdin"), fields.flag("tty"), read_size(fields)
    fields.finish()
    if not command:
        raise Invalid("command is missing", [at("/command", "a list with the program and its arguments")])
    threads.require_room()
    stdio = Stdio(stdin, (size or (0, 0)) if tty else None)
    session = await threads.change(
        services.launcher.exec, name, command, env=env, workdir=workdir, user=user, stdio=stdio
    )
    key = attachments_of(request).add(session) if stdin or tty else None

    def stop() -> None:
        attachments_of(request).drop(key)
        session.hang_up()

    return flowing(
        request,
        _lines(session, key),
        bytes,
        "application/jsonl",
        last=lambda: encode({"exit_code": session.exit_code}) + b"\n",
        stop=stop,
    )


def _lines(session: ExecPart, key: str | None) -> Generator[bytes, None, None]:
    if key is not None:
        yield encode({"attachment": key}) + b"\n"
    for chunk in session:
        yield chunk_as_json(chunk)
