"""Run a program in a running container: its output as JSON lines as it comes, its exit code as the last."""

import base64
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import takes
from web.flows import flowing
from web.names import Name
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
    """Start `command` in the container's namespaces and cgroup; it is killed when the client hangs up."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    command = fields.texts("command", most=_ARGUMENTS_MAX)
    env = fields.mapping("env") or {}
    workdir, user = fields.text("workdir", most=4096), fields.text("user", most=100)
    fields.finish()
    if not command:
        raise Invalid("command is missing", [at("/command", "a list with the program and its arguments")])
    threads.require_room()
    session = await threads.change(services.launcher.exec, name, command, env=env, workdir=workdir, user=user)
    return flowing(
        request,
        session.__iter__(),
        chunk_as_json,
        "application/jsonl",
        last=lambda: encode({"exit_code": session.exit_code}) + b"\n",
        stop=session.kill,
    )


def chunk_as_json(chunk: tuple[str, bytes]) -> bytes:
    """A piece of output; base64, because it can be cut in the middle of a character."""
    stream, data = chunk
    return encode({"stream": stream, "data_b64": base64.b64encode(data).decode("ascii")}) + b"\n"
