"""Named volumes as resources: list, create, look at, remove."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.names import Name
from web.problems import Invalid, at
from web.scopes import ADMIN, READ
from web.wire import reply

router = APIRouter(tags=["volumes"])


@router.get("/volumes", dependencies=[requires(READ)], responses=answers("VolumeList"))
async def list_volumes(request: Request) -> Response:
    """All named volumes, with the containers that mount them."""
    services, threads = parts_of(request)
    found = await threads.read(services.launcher.volumes.all)
    return reply({"volumes": [volume.to_wire() for volume in found]})


@router.post(
    "/volumes",
    status_code=201,
    dependencies=[requires(ADMIN)],
    responses=answers("Volume", status=201),
    openapi_extra=takes("NewVolume"),
)
async def create_volume(request: Request) -> Response:
    """Make an empty volume; one that is there stays as it is."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    name = fields.text("name", most=100)
    fields.finish()
    if name is None:
        raise Invalid("name is missing", [at("/name", "the volume's name")])
    made = await threads.change(services.launcher.volumes.create, name)
    return reply(made.to_wire(), 201, {"Location": f"/api/v1/volumes/{name}"})


@router.get("/volumes/{name}", dependencies=[requires(READ)], responses=answers("Volume"))
async def inspect_volume(request: Request, name: Name) -> Response:
    """One named volume."""
    services, threads = parts_of(request)
    return reply((await threads.read(lambda: services.launcher.volumes.get(name))).to_wire())


@router.delete("/volumes/{name}", status_code=204, dependencies=[requires(ADMIN)])
async def remove_volume(request: Request, name: Name) -> Response:
    """Remove a volume with all that is in it; a conflict while a container mounts it, be it an ended one."""
    services, threads = parts_of(request)
    await threads.change(services.launcher.volumes.remove, name)
    return Response(status_code=204)
