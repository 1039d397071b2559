"""The verbs that begin a run of a container that is there: start and restart."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.names import Name
from web.scopes import OPERATE
from web.views import state_view
from web.wire import reply

router = APIRouter(tags=["containers"])


@router.post("/containers/{name}/start", dependencies=[requires(OPERATE)], responses=answers("Stopped"))
async def start_container(request: Request, name: Name) -> Response:
    """Start a container that was created or has ended, its files kept; one that runs is left alone."""
    services, threads = parts_of(request)
    changed = await threads.change(services.launcher.start, name)
    return reply({"changed": changed} | await threads.read(state_view, services, name))


@router.post(
    "/containers/{name}/restart",
    dependencies=[requires(OPERATE)],
    responses=answers("Stopped"),
    openapi_extra=takes("StopWish", required=False),
)
async def restart_container(request: Request, name: Name) -> Response:
    """Stop a container as `stop` does, where it runs, and start it."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    timeout_sec = fields.number("timeout_sec", least=0, most=3600)
    fields.finish()
    await threads.wait(services.launcher.restart, name, timeout_sec)
    return reply({"changed": True} | await threads.read(state_view, services, name))
