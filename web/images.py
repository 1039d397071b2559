"""Images as resources: list, inspect, pull, import, name, verify, remove, collect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from launcher.images import Image, ImageConfig, Removed
from launcher.images.errors import BadReference
from launcher.images.importing import KINDS, import_image
from launcher.images.pull import pull_image
from web.access import requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.giving_up import while_wanted
from web.problems import Invalid, at
from web.scopes import ADMIN, READ
from web.wire import reply

LONGEST_PATH: Final = 4095

router = APIRouter(tags=["images"])


@router.get("/images", dependencies=[requires(READ)], responses=answers("ImageList"))
async def list_images(request: Request) -> Response:
    """All images of this host, those with a name first."""
    services, threads = parts_of(request)
    found = await threads.read(services.launcher.images.images)
    return reply({"images": [image.to_wire() for image in found]})


@router.post(
    "/images/pull",
    dependencies=[requires(ADMIN)],
    responses=answers("Image"),
    openapi_extra=takes("PullWish"),
)
async def pull(request: Request) -> Response:
    """Pull an image from a registry; answered when it is here. It goes on when the client hangs up."""
    services, _threads = parts_of(request)
    fields = Fields(await read_object(request))
    reference = _required(fields, "reference")
    insecure, auth_file = fields.flag("insecure"), fields.text("auth_file", most=LONGEST_PATH) or ""
    fields.finish()

    def act() -> Image:
        with _naming("reference"):
            return pull_image(services.launcher.images, reference, insecure=insecure, auth_file=auth_file)

    return reply((await while_wanted(request, act, by_client=False)).to_wire())


@router.post(
    "/images/import",
    dependencies=[requires(ADMIN)],
    responses=answers("ImageList"),
    openapi_extra=takes("ImportWish"),
)
async def import_images(request: Request) -> Response:
    """Import an OCI layout, what `docker save` wrote, or a root directory's tar archive, from a path here.

    It ends, and nothing is kept, when the client hangs up.
    """
    services, _threads = parts_of(request)
    fields = Fields(await read_object(request))
    path = _required(fields, "path", most=LONGEST_PATH)
    reference, kind = fields.text("reference"), fields.text("kind") or "auto"
    config = ImageConfig(
        entrypoint=_words(fields, "entrypoint"),
        command=_words(fields, "command") or (),
        env=fields.mapping("env") or {},
        workdir=fields.text("workdir", most=LONGEST_PATH) or "",
        user=fields.text("user") or "",
    )
    fields.finish()
    if kind not in KINDS:
        raise Invalid(f"kind must be one of {', '.join(KINDS)}", [at("/kind", "no such kind")])

    def act() -> list[Image]:
        with _naming("reference"):
            return import_image(services.launcher.images, path, reference, kind=kind, config=config)

    return reply({"images": [image.to_wire() for image in await while_wanted(request, act)]})


@router.post(
    "/images/tag",
    dependencies=[requires(ADMIN)],
    responses=answers("Image"),
    openapi_extra=takes("TagWish"),
)
async def tag_image(request: Request) -> Response:
    """Give an image one more name; a name that was another's moves."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    reference, name = _required(fields, "reference"), _required(fields, "name")
    fields.finish()

    def act() -> Image:
        with _naming("name"):
            return services.launcher.images.add_name(reference, name)

    return reply((await threads.change(act)).to_wire())


@router.post(
    "/images/verify",
    dependencies=[requires(ADMIN)],
    responses=answers("Image"),
    openapi_extra=takes("VerifyWish"),
)
async def verify_image(request: Request) -> Response:
    """Read every file of an image's layers and hold them against what was unpacked; 422 where one differs."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    reference = _required(fields, "reference")
    fields.finish()
    return reply((await threads.wait(services.launcher.images.verify, reference)).to_wire())


@router.post("/images/collect", dependencies=[requires(ADMIN)], responses=answers("RemovedImages"))
async def collect_images(request: Request) -> Response:
    """Remove images without a name, and layers that neither an image nor a container needs."""
    services, threads = parts_of(request)
    Fields(await read_object(request)).finish()
    return reply(_removed(await threads.wait(services.launcher.images.collect)))


@router.get("/images/{reference:path}", dependencies=[requires(READ)], responses=answers("Image"))
async def inspect_image(request: Request, reference: str) -> Response:
    """One image, by a name, an id, or the beginning of an id."""
    services, threads = parts_of(request)
    return reply((await threads.read(services.launcher.images.resolve, reference)).to_wire())


@router.delete("/images/{reference:path}", dependencies=[requires(ADMIN)], responses=answers("RemovedImages"))
async def remove_image(request: Request, reference: str, force: Annotated[bool, Query()] = False) -> Response:
    """Take a name away; with the last one the image goes, and what no other needs of its layers.

    409 while a container stands on it; with `force` only the name goes then.
    """
    services, threads = parts_of(request)
    removed = await threads.change(services.launcher.images.remove, reference, force=force)
    return reply(_removed(removed))


def _removed(removed: Removed) -> dict[str, Any]:
    return {name: list(values) for name, values in removed._asdict().items()}


def _required(fields: Fields, key: str, *, most: int = 1000) -> str:
    value = fields.text(key, most=most)
    if not value:
        raise Invalid(f"{key} is required", [at(f"/{key}", "is required")])
    return value


def _words(fields: Fields, key: str) -> tuple[str, ...] | None:
    words = fields.texts(key, most=1000)
    return None if words is None else tuple(words)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """A bad reference is told with the field of this request that it stood in."""
    try:
        yield
    except BadReference as e:
        raise Invalid(e.why, [at(f"/{key}", e.why)]) from None
