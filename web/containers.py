"""Containers as resources: list, create, inspect, remove, and the verbs stop, kill and wait."""

import asyncio
import signal as signals
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from launcher import ContainerSpec, parse_signal
from web.access import requires
from web.attach import LARGEST_SIZE, follow_live, follow_log
from web.bodies import Fields, read_object
from web.doc import answers, takes
from web.names import Name
from web.parts import AttachedPart, Services
from web.problems import Busy, Invalid, Timeout, at
from web.scopes import ADMIN, OPERATE, READ
from web.threads import Threads
from web.views import container_rows, inspect_view, state_view
from web.wire import encode, reply

LONGEST_WAIT_SEC: Final = 24 * 3600.0

router = APIRouter(tags=["containers"])


@router.get("/containers", dependencies=[requires(READ)], responses=answers("ContainerList"))
async def list_containers(request: Request) -> Response:
    """All containers, with usage as of the last sweep; limits that were changed since are read now."""
    services, threads = parts_of(request)
    return Response(await threads.read(_list, services), media_type="application/json")


def _list(services: Services) -> bytes:
    # Encoded in the thread as well: the loop has other clients.
    return encode({"containers": container_rows(services)})


@router.post(
    "/containers",
    status_code=201,
    dependencies=[requires(ADMIN)],
    responses=answers("Inspect", status=201),
    openapi_extra=takes("NewContainer"),
)
async def create_container(
    request: Request,
    dry_run: Annotated[bool, Query()] = False,
    attach: Annotated[bool, Query()] = False,
    start: Annotated[bool, Query()] = True,
    rows: Annotated[int | None, Query(ge=1, le=LARGEST_SIZE)] = None,
    columns: Annotated[int | None, Query(ge=1, le=LARGEST_SIZE)] = None,
) -> Response:
    """Create and start a container; answered once its program has been started. A dry run tells the plan.

    With `start=false` it is put on record alone, to be started later.

    With `attach` the answer goes on until the container has ended, as JSON lines: `{"container": ...}`, what
    it writes as in /logs, and last `{"exit_code": ...}`. A client that hangs up leaves the container running.
    With `tty` what it writes comes as in /attach; with `tty` or `stdin` the first line has an `attachment`,
    and `rows` and `columns` are the size of the terminal.
    """
    services, threads = parts_of(request)
    spec = ContainerSpec.from_wire(await read_object(request))
    if dry_run:
        return reply({"plan": await threads.change(services.launcher.describe, spec)})
    location = {"Location": f"/api/v1/containers/{spec.name}"}
    if not start:
        if attach:
            raise Invalid("attach needs a start", [at("?attach", "only together with a start")])
        return reply(await threads.change(_create, services, spec), 201, location)
    if not attach:
        return reply(await threads.change(_run, services, spec), 201, location)
    threads.require_room()
    size = None if rows is None or columns is None else (rows, columns)
    view, run = await threads.change(_run_attached, services, spec, size)
    if spec.tty:
        return follow_live(request, run, {"container": view}, 201)
    return follow_log(request, run, view)


def _create(services: Services, spec: ContainerSpec) -> dict[str, Any]:
    return inspect_view(services, services.launcher.create(spec))


def _run_attached(
    services: Services, spec: ContainerSpec, size: tuple[int, int] | None
) -> tuple[dict[str, Any], AttachedPart]:
    run = services.launcher.run_attached(spec, size)
    return inspect_view(services, run.container), run


def _run(services: Services, spec: ContainerSpec) -> dict[str, Any]:
    return inspect_view(services, services.launcher.run(spec))


@router.get("/containers/{name}", dependencies=[requires(READ)], responses=answers("Inspect"))
async def inspect_container(request: Request, name: Name) -> Response:
    """One container; its limits are read from the kernel now."""
    services, threads = parts_of(request)
    return reply(await threads.read(lambda: inspect_view(services, services.launcher.get(name))))


@router.delete("/containers/{name}", status_code=204, dependencies=[requires(ADMIN)])
async def remove_container(request: Request, name: Name, force: Annotated[bool, Query()] = False) -> Response:
    """Remove a container that has ended; with `force` it is killed first."""
    services, threads = parts_of(request)
    await threads.change(services.launcher.remove, name, force=force)
    return Response(status_code=204)


@router.post(
    "/containers/{name}/stop",
    dependencies=[requires(OPERATE)],
    responses=answers("Stopped"),
    openapi_extra=takes("StopWish", required=False),
)
async def stop_container(request: Request, name: Name) -> Response:
    """Send the stop signal, and KILL after the time-out; nothing to do for a container that has ended."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    timeout_sec = fields.number("timeout_sec", least=0, most=3600)
    fields.finish()
    changed = await threads.wait(services.launcher.stop, name, timeout_sec)
    return reply({"changed": changed} | await threads.read(state_view, services, name))


@router.post(
    "/containers/{name}/kill",
    dependencies=[requires(OPERATE)],
    responses=answers("Killed"),
    openapi_extra=takes("KillWish", required=False),
)
async def kill_container(request: Request, name: Name) -> Response:
    """Send a signal (KILL unless another is named) to the container's first process."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    wanted = fields.word_or_number("signal")
    fields.finish()
    number = signals.SIGKILL if wanted is None else parse_signal(wanted)
    await threads.change(services.launcher.kill, name, number)
    told = await threads.read(state_view, services, name)
    return reply({"changed": True, "state": told["state"]})


@router.post(
    "/containers/{name}/wait",
    dependencies=[requires(READ)],
    responses=answers("Waited"),
    openapi_extra=takes("WaitWish", required=False),
)
async def wait_container(request: Request, name: Name) -> Response:
    """Answer when the container has ended; 504 when it has not within `timeout_sec`."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    timeout_sec = fields.number("timeout_sec", least=0, most=LONGEST_WAIT_SEC)
    fields.finish()
    code = await _ended_or_closing(request, threads.wait(services.launcher.wait, name, timeout_sec))
    if code is None:
        raise Timeout(f"container {name!r} did not end in time")
    return reply({"exit_code": code})


async def _ended_or_closing(request: Request, task: asyncio.Future[int | None]) -> int | None:
    # The daemon's end must not wait for a container's.
    closing = asyncio.ensure_future(request.app.state.streams.closing.wait())
    try:
        await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Busy("the daemon is being stopped; the container runs on")
        return task.result()
    finally:
        closing.cancel()
        task.cancel()


def parts_of(request: Request) -> tuple[Services, Threads]:
    """What every route works with."""
    return request.app.state.services, request.app.state.threads
