"""`cp`: files and directories between here and a container, as tar archives underneath."""

from __future__ import annotations

import binascii
import json
import os
import sys

from cgwarden.cli import failures
from cgwarden.cli.names import container_path
from cgwarden.cli.options import Args, Option, UsageError, Verb
from cgwarden.client import Daemon, NoDaemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgwarden.client import Response

PIECE_BYTES = 256 << 10


def split(text: str) -> tuple[str | None, str]:
    """`NAME:PATH` as (name, path), anything else as (None, path): write ./a:b for a file of that name."""
    name, colon, path = text.partition(":")
    if not colon or not name or name[0] in "./":
        return None, text
    return name, path or "/"


def _cp(args: Args) -> int:
    (source, wanted), (target, place) = split(args.words[0]), split(args.words[1])
    if (source is None) == (target is None):
        raise UsageError("one of the two must be in a container: NAME:PATH")
    if source is not None:
        return _copy_out(source, wanted, place, archive=args.on("archive"), follow=args.on("follow_link"))
    assert target is not None
    return _copy_in(wanted, target, place, archive=args.on("archive"), follow=args.on("follow_link"))


def _copy_out(name: str, path: str, place: str, *, archive: bool, follow: bool) -> int:
    query = {"path": path, "follow": follow or None}
    if place != "-" and not os.path.isdir(os.path.dirname(place.rstrip("/")) or "."):
        raise UsageError(f"there is no directory {os.path.dirname(place)!r} to copy to")
    response = Daemon().open("GET", container_path(name, "archive"), query=query, timeout_sec=None)
    if place == "-":
        for chunk in response.chunks():
            sys.stdout.buffer.write(chunk)
        return failures.DONE
    return _unpack(_Incoming(response), path, place, archive=archive)


def _unpack(source: _Incoming, path: str, place: str, *, archive: bool) -> int:
    from launcher.files.untar import BadArchive, Unpacker

    owner = None if archive else (os.geteuid(), os.getegid())
    base, rename = _place_for(path, place)
    try:
        unpacker = Unpacker(base, owner=owner, rename=rename)
        unpacker.unpack(source)
    except (BadArchive, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(f"cgwarden: cannot copy to {place}: {text}", file=sys.stderr)
        return failures.FAILED
    finally:
        os.close(base)
    return _tell_skipped(unpacker.skipped)


def _place_for(path: str, place: str) -> tuple[int, str | None]:
    """The directory to unpack in, and what the first name becomes there: as docker, and cp, have it."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if os.path.isdir(place):
        return os.open(place, flags), None
    if place.endswith("/") and not path.endswith("/"):
        raise UsageError(f"there is no directory {place!r}")
    above, name = os.path.split(place.rstrip("/"))
    if path.endswith("/."):
        os.mkdir(place)
        return os.open(place, flags), None
    return os.open(above or ".", flags), name


def _tell_skipped(count: int) -> int:
    if count:
        print(f"cgwarden: {count} device nodes were not copied", file=sys.stderr)
    return failures.DONE


class _Incoming:
    """An answer's body as a file to be read from."""

    def __init__(self, response: Response) -> None:
        self._chunks = response.chunks()
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most that many bytes, fewer at the end alone."""
        parts = [self._rest]
        length = len(self._rest)
        while length < size and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def _copy_in(source: str, name: str, path: str, *, archive: bool, follow: bool) -> int:
    kind = "archive" if source == "-" else _kind_of(source, follow=follow)
    daemon = Daemon()
    query = {"path": path, "kind": kind, "owners": archive or None}
    response = daemon.open("POST", container_path(name, "archive"), query=query, timeout_sec=None)
    lines = response.lines()
    outgoing = _Outgoing(daemon, json.loads(next(lines))["attachment"])
    try:
        if source == "-":
            while piece := sys.stdin.buffer.read(PIECE_BYTES):
                outgoing.write(piece)
        else:
            _pack(outgoing, source, kind, follow=follow)
        outgoing.finish()
    except Problem as problem:
        if problem.slug != "unknown-attachment":  # nobody takes it any more: why, the outcome tells
            raise
    return _outcome(lines)


def _outcome(lines: Iterator[bytes]) -> int:
    last = next(lines, b"")
    if not last:
        raise NoDaemon("the daemon hung up before it had said whether all was copied")
    told = json.loads(last)
    if "error" in told:
        print(f"cgwarden: {failures.one_line(UsageError(told['error']), '')}", file=sys.stderr)
        return failures.FAILED
    return _tell_skipped(told["skipped"])


def _kind_of(source: str, *, follow: bool) -> str:
    if not os.path.lexists(source):
        raise UsageError(f"there is no {source!r} here")
    is_directory = os.path.isdir(source) and (follow or source.endswith("/") or not os.path.islink(source))
    if not is_directory:
        return "file"
    return "contents" if source.endswith("/.") or source == "." else "tree"


def _pack(outgoing: _Outgoing, source: str, kind: str, *, follow: bool) -> None:
    import tarfile

    name = "." if kind == "contents" else os.path.basename(os.path.abspath(source))
    if follow or source.endswith("/"):
        source = os.path.realpath(source)
    with tarfile.open(fileobj=outgoing, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        archive.add(source, name)


class _Outgoing:
    """A file to write an archive to, which goes to the daemon in large pieces."""

    def __init__(self, daemon: Daemon, key: str) -> None:
        self._daemon = daemon
        self._path = f"/api/v1/attachments/{key}"
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        """Sent once there is enough of it."""
        self._pending += data
        while len(self._pending) >= PIECE_BYTES:
            self._send()
        return len(data)

    def finish(self) -> None:
        """All that is left, and the end."""
        while self._pending:
            self._send()
        while not self._daemon.call("POST", self._path, {"eof": True})["ended"]:
            continue

    def _send(self) -> None:
        piece = bytes(self._pending[:PIECE_BYTES])
        body = {"data_b64": binascii.b2a_base64(piece, newline=False).decode()}
        taken = self._daemon.call("POST", self._path, body)["taken_bytes"]
        del self._pending[:taken]


VERBS = {
    "cp": Verb(
        "cp [-a] [-L] NAME:PATH LOCAL|-   or   cp [-a] [-L] LOCAL|- NAME:PATH",
        "Copy a file or a directory out of a container or into one; - is a tar archive on stdin or stdout.",
        _cp,
        options=(
            Option("-a", "--archive", help="keep owners, and set-user-id bits; else all is yours, or root's"),
            Option("-L", "--follow-link", help="copy what a link leads to, not the link"),
        ),
        words=(2, 2),
        more="DIR/. copies what is in the directory. Out of a container that has ended, too: without its\n"
        "volumes. Nothing outside the container's root is reached, whatever it does meanwhile. Device nodes\n"
        "are left out.",
    ),
}
