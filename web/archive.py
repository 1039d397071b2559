"""Files of a container as a tar archive: out in one answer, in by requests of their own, as input goes."""

from collections.abc import Generator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from launcher import LauncherError
from web.access import requires
from web.attach import attachments_of
from web.containers import parts_of
from web.doc import answers
from web.flows import flowing
from web.names import Name
from web.scopes import ADMIN
from web.wire import encode

Path = Annotated[str, Query(max_length=4096, description="Absolute, or from the container's root.")]

router = APIRouter(tags=["containers"])


@router.get("/containers/{name}/archive", dependencies=[requires(ADMIN)], response_class=StreamingResponse)
async def copy_out(
    request: Request, name: Name, path: Path, follow: Annotated[bool, Query()] = False
) -> Response:
    """A file or a tree of the container as a tar archive; of one that has ended, without its volumes. Nothing
    outside its root is reached, whatever the container does meanwhile. A link is told as a link, but with
    `follow`.
    """
    services, threads = parts_of(request)
    threads.require_room()
    pieces = await threads.change(services.launcher.copier.copy_out, name, path, follow=follow)
    return flowing(request, pieces, bytes, "application/x-tar")


@router.post("/containers/{name}/archive", dependencies=[requires(ADMIN)], responses=answers("CopiedLine"))
async def copy_in(
    request: Request,
    name: Name,
    path: Path,
    kind: Annotated[Literal["file", "tree", "contents", "archive"], Query()] = "archive",
    owners: Annotated[bool, Query()] = False,
) -> Response:
    """Unpack a tar archive in the container. JSON lines: the first has the `attachment` that the archive goes
    to, with `eof` at its end; the second says how many `entries` there were, or an `error`.

    `kind` is what the archive holds: one file or one directory (`tree`), which become `path` or go into it,
    what is in a directory (`contents`), or anything, for a directory that is there. All belongs to the
    container's root, but with `owners`.
    """
    services, threads = parts_of(request)
    threads.require_room()
    copying = await threads.change(services.launcher.copier.copy_in, name, path, kind=kind, owners=owners)
    key = attachments_of(request).add(copying)

    def lines() -> Generator[bytes, None, None]:
        yield encode({"attachment": key}) + b"\n"
        try:
            yield encode(dict(copying.finish())) + b"\n"
        except LauncherError as e:
            yield encode({"error": str(e)}) + b"\n"

    def stop() -> None:
        attachments_of(request).drop(key)
        copying.hang_up()

    return flowing(request, lines(), bytes, "application/jsonl", stop=stop)
