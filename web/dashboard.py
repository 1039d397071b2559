"""The built dashboard, held in memory: only what was found at the start can be asked for."""

import hashlib
import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.access import requires
from web.problems import NotFound
from web.scopes import OPEN

DIST: Final = Path(__file__).parent / "ui" / "dist"

_HASHED: Final = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_PLAIN_PAGE: Final = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>cgwarden</title>
<h1>cgwarden is running, without its dashboard</h1>
<p>The dashboard has not been built: run <code>make ui</code>, then start the daemon again.
<p>The API is at <code>/api/v1</code>, metrics are at <code>/metrics</code>; the command line works as ever.
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the dashboard, as it is sent."""

    body: bytes
    packed: bytes | None
    media_type: str
    cache: str
    etag: str


class Dashboard:
    """The files of `directory` by their address; `index.html` also at `/`."""

    def __init__(self, directory: Path = DIST) -> None:
        self._assets = read_assets(directory)

    def answer(self, path: str, request: Request) -> Response:
        """The file at that address; NotFound for anything that is not one of ours."""
        asset = self._assets.get(path or "index.html")
        if asset is None:
            raise NotFound("there is nothing at this address")
        headers = {"Cache-Control": asset.cache, "ETag": asset.etag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, 200, headers | {"Content-Encoding": "gzip"}, asset.media_type)
        return Response(asset.body, 200, headers, asset.media_type)


def read_assets(directory: Path) -> dict[str, Asset]:
    """Every regular file below `directory`, with its `.gz` twin; the plain page where there is none."""
    plain = {"index.html": _asset(_PLAIN_PAGE, None, "index.html")}
    files = {path: path.read_bytes() for path in _regular_files(directory)}
    found = {
        path.relative_to(directory).as_posix(): _asset(
            body, files.get(path.with_name(path.name + ".gz")), path.name
        )
        for path, body in files.items()
        if path.suffix != ".gz"
    }
    return plain | found


def _regular_files(directory: Path) -> list[Path]:
    # A symlink in the folder could lead anywhere, so none is followed; hidden files are the build's own.
    found = []
    for folder, _, names in os.walk(directory, followlinks=False):
        paths = [Path(folder) / name for name in names if not name.startswith(".")]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return found


def _asset(body: bytes, packed: bytes | None, name: str) -> Asset:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    media_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    cache = _FOREVER if _HASHED.search(name) else _ASK_AGAIN
    return Asset(body, packed, media_type, cache, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=[requires(OPEN)])
@router.get("/{path}", dependencies=[requires(OPEN)])
@router.get("/assets/{path}", dependencies=[requires(OPEN)])
async def read_asset(request: Request) -> Response:
    """The dashboard itself; it asks for a log-in by what the API answers."""
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard.answer(request.scope["path"].removeprefix("/"), request)
