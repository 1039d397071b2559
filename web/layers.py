"""What a container changed in its root: told as a list, or kept as one more layer of an image."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from launcher.images.errors import BadReference
from launcher.rootfs.changes import Change
from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.giving_up import while_wanted
from web.names import Name
from web.problems import Invalid, at
from web.scopes import ADMIN, OPERATE
from web.wire import reply

_KINDS: Final = {"A": "added", "C": "changed", "D": "deleted"}

router = APIRouter(tags=["containers"])


@router.get("/containers/{name}/diff", dependencies=[requires(OPERATE)], responses=answers("Changes"))
async def diff_container(request: Request, name: Name) -> Response:
    """Added, changed and deleted paths; a running container is frozen while they are read."""
    services, threads = parts_of(request)
    found = await threads.wait(services.launcher.diff, name)
    return reply({"changes": [change_view(change) for change in found]})


def change_view(change: Change) -> dict[str, Any]:
    """One path; `size_bytes` is null for what is no regular file, or was deleted."""
    path = change.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return {"kind": _KINDS[change.kind], "path": path, "size_bytes": change.size_bytes}


@router.post(
    "/containers/{name}/commit",
    status_code=201,
    dependencies=[requires(ADMIN)],
    responses=answers("Image", status=201),
    openapi_extra=takes("CommitWish"),
)
async def commit_container(request: Request, name: Name) -> Response:
    """Make an image of the container's own and its changes; a running one is frozen while they are read.

    It ends, and nothing is kept, when the client hangs up.
    """
    services, _threads = parts_of(request)
    fields = Fields(await read_object(request))
    reference = fields.text("reference")
    fields.finish()
    if not reference:
        raise Invalid("reference is missing", [at("/reference", "a name for the image, as in `web:1`")])
    try:
        image = await while_wanted(request, lambda: services.launcher.commit(name, reference))
    except BadReference as error:
        raise Invalid(str(error), [at("/reference", str(error))]) from None
    return reply(image.to_wire(), 201)
