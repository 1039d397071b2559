"""The whole mapping from the other parts' errors to problems, in one table, and the handlers that use it."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

import cgroupfs
from enforcer import errors as enforcing
from launcher import errors as launching
from launcher import network as networking
from launcher.files import layering
from launcher.images import errors as imaging
from launcher.rootfs import changes, driver, entries, roots
from launcher.wanted import NotWanted
from monitor import UnknownMetric
from web.problems import BUSY, INTERNAL, INVALID, TIMEOUT, Kind, Problem, answer, at, of_status
from web.queries import complain

_LOG: Final = logging.getLogger("cgwarden.web")

_UNKNOWN: Final = Kind("unknown-container", 404, "There is no such container", "`cgwarden ps` lists them")
_UNKNOWN_DECISION: Final = Kind("unknown-decision", 404, "There is no such decision")
_GONE: Final = Kind("unknown-container", 404, "The container has ended")
_UNKNOWN_GROUP: Final = Kind("unknown-group", 404, "There is no such group", "`cgwarden group ls` lists them")
_GROUP_IN_USE: Final = Kind("conflict", 409, "Containers are in the group")
_UNKNOWN_VOLUME: Final = Kind(
    "unknown-volume", 404, "There is no such volume", "`cgwarden volume ls` lists them"
)
_VOLUME_IN_USE: Final = Kind("conflict", 409, "A container mounts the volume")
_NAME_TAKEN: Final = Kind("name-taken", 409, "The name is taken")
_NOT_RUNNING: Final = Kind("not-running", 409, "The container is not running")
_RUNNING: Final = Kind("conflict", 409, "The container is running", "stop it first, or remove it with force")
_FROZEN: Final = Kind("frozen", 409, "The container is frozen", "thaw it first")
_MOUNTED: Final = Kind("conflict", 409, "A mount keeps the container's directory")
_LOST: Final = Kind("conflict", 409, "The container has lost its supervisor")
_OWNER: Final = Kind("owner-conflict", 409, "The limit is held by someone else", "use force to take it over")
_BELOW: Final = Kind("below-usage", 409, "The limit is below what is used")
_REFUSED: Final = Kind("conflict", 409, "The kernel refused the change")
_BUSY: Final = Kind("conflict", 409, "An earlier change is still under way", "try again when it has ended")
_PROTECTED: Final = Kind("forbidden", 403, "This cgroup is never changed")
_NOT_OFFERED: Final = Kind(
    "not-offered", 501, "This kernel does not offer it", "`cgwarden doctor` tells what is missing"
)
_NOT_MOUNTED: Final = Kind(
    "not-offered",
    501,
    "Its hierarchy is not mounted",
    "`[cgroups] mount_net = true` in the configuration and a restart of the daemon mount it, for containers"
    " that start from then on",
)
_NO_SPACE: Final = Kind(
    "journal-full", 507, "The journal has no space; nothing was changed", "make room in the state directory"
)
_NO_JOURNAL: Final = Kind("journal-unavailable", 503, "The journal cannot be written; nothing was changed")
_NO_GUARDIAN: Final = Kind(
    "guardian-lost", 503, "Leases cannot begin now; nothing was changed", "restart the daemon"
)
_NO_ROOT: Final = Kind("missing-root", 422, "The root directory cannot be used")
_UNKNOWN_IMAGE: Final = Kind("unknown-image", 404, "There is no such image", "`cgwarden image ls` lists them")
_IMAGE_IN_USE: Final = Kind("conflict", 409, "A container uses the image")
_BAD_IMAGE: Final = Kind("bad-image", 422, "This cannot be unpacked; nothing of it was kept")
_MISSING_FILE: Final = Kind("missing-file", 422, "The file cannot be read")
_PULL_FAILED: Final = Kind("pull-failed", 502, "The registry did not give it")
_NO_SKOPEO: Final = Kind("not-offered", 501, "This host lacks a program")
_CANNOT_INVOKE: Final = Kind("cannot-invoke", 422, "The program cannot be executed", exit_code=126)
_NOT_FOUND: Final = Kind("command-not-found", 422, "There is no such program in the container", exit_code=127)
_PORT_TAKEN: Final = Kind("port-taken", 409, "The port is in use")
_ADDRESS_TAKEN: Final = Kind("address-taken", 409, "The address cannot be had")
_NO_ADDRESS: Final = Kind("no-address", 409, "The address pool is exhausted")
_NO_NETWORK: Final = Kind(
    "not-offered", 501, "This host offers no bridge network", "`cgwarden doctor` tells what is missing"
)
_NO_ROOM: Final = Kind("bad-request", 422, "The limit leaves no room to start a program", exit_code=125)
_NO_DRIVER: Final = Kind(
    "not-offered", 501, "This host cannot serve that root driver", "`cgwarden doctor` tells what is missing"
)
_UNREADABLE: Final = Kind("changes-unreadable", 500, "What the container changed cannot be read")
_TOO_DEEP: Final = Kind("conflict", 409, "What the container changed cannot be told")
_ROOT_STAYS: Final = Kind("conflict", 409, "The container's root cannot be removed now")
_CANNOT_COMMIT: Final = Kind("conflict", 409, "No image can be made of this container")
_CANNOT_COPY: Final = Kind("cannot-copy", 422, "That cannot be copied", exit_code=1)
_LAUNCH_FAILED: Final = Kind("launch-failed", 500, "The launch failed; nothing was left behind")

KINDS: Final[dict[type[Exception], Kind]] = {
    launching.UnknownContainer: _UNKNOWN,
    launching.NameTaken: _NAME_TAKEN,
    launching.UnknownGroup: _UNKNOWN_GROUP,
    launching.GroupInUse: _GROUP_IN_USE,
    launching.UnknownVolume: _UNKNOWN_VOLUME,
    launching.VolumeInUse: _VOLUME_IN_USE,
    launching.BadSpec: INVALID,
    launching.TooLittleMemory: _NO_ROOM,
    launching.MissingRoot: _NO_ROOT,
    launching.CannotInvoke: _CANNOT_INVOKE,
    launching.CommandNotFound: _NOT_FOUND,
    launching.NotRunning: _NOT_RUNNING,
    launching.StillRunning: _RUNNING,
    launching.ContainerFrozen: _FROZEN,
    launching.SupervisorLost: _LOST,
    launching.StopTimeout: TIMEOUT,
    launching.MountInTheWay: _MOUNTED,
    networking.PortTaken: _PORT_TAKEN,
    networking.AddressTaken: _ADDRESS_TAKEN,
    networking.NoAddressFree: _NO_ADDRESS,
    networking.NetworkUnavailable: _NO_NETWORK,
    networking.NetworkFailed: _LAUNCH_FAILED,
    layering.ChangesUnreadable: _UNREADABLE,
    entries.TooDeep: _TOO_DEEP,
    changes.TooMuch: _TOO_DEEP,
    roots.RootNotRemoved: _ROOT_STAYS,
    driver.DriverUnavailable: _NO_DRIVER,
    launching.CannotCommit: _CANNOT_COMMIT,
    launching.CannotCopy: _CANNOT_COPY,
    launching.LaunchFailed: _LAUNCH_FAILED,
    NotWanted: BUSY,
    launching.LauncherError: _LAUNCH_FAILED,
    imaging.UnknownImage: _UNKNOWN_IMAGE,
    imaging.AmbiguousImage: INVALID,
    imaging.ImageInUse: _IMAGE_IN_USE,
    imaging.BadImage: _BAD_IMAGE,
    imaging.MissingFile: _MISSING_FILE,
    imaging.PullFailed: _PULL_FAILED,
    imaging.NoSkopeo: _NO_SKOPEO,
    cgroupfs.CgroupGone: _GONE,
    cgroupfs.NotMounted: _NOT_MOUNTED,
    cgroupfs.NotOffered: _NOT_OFFERED,
    cgroupfs.Refused: _REFUSED,
    cgroupfs.FreezeTimeout: TIMEOUT,
    cgroupfs.BadLimit: INVALID,
    cgroupfs.CgroupError: INTERNAL,
    enforcing.UnknownTarget: _UNKNOWN,
    enforcing.UnknownDecision: _UNKNOWN_DECISION,
    enforcing.BadWish: INVALID,
    enforcing.OwnerConflict: _OWNER,
    enforcing.BelowUsage: _BELOW,
    enforcing.JournalFull: _NO_SPACE,
    enforcing.JournalUnavailable: _NO_JOURNAL,
    enforcing.GuardianLost: _NO_GUARDIAN,
    enforcing.WriteTimedOut: TIMEOUT,
    enforcing.ContainerBusy: _BUSY,
    enforcing.WriteFailed: _REFUSED,
    enforcing.TargetGone: _GONE,
    enforcing.Forbidden: _PROTECTED,
    enforcing.EnforcerError: INTERNAL,
    UnknownMetric: INVALID,
}


def kind_of(error: Exception) -> Kind:
    """The most specific entry of the table for that error."""
    return next((KINDS[kind] for kind in type(error).__mro__ if kind in KINDS), INTERNAL)


def add_handlers(app: FastAPI) -> None:
    """Make every error an RFC 9457 problem."""
    for kind in KINDS:
        app.add_exception_handler(kind, _told(_part_error))
    app.add_exception_handler(Problem, _told(_problem))
    app.add_exception_handler(HTTPException, _told(_http_error))
    app.add_exception_handler(RequestValidationError, _bad_parameters)
    app.add_exception_handler(ClientDisconnect, _told(_hung_up))
    app.add_exception_handler(Exception, _told(_unexpected))


def _told(
    handle: Callable[[str, Any], Response],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        return handle(request.state.request_id, error)

    return handler


def _part_error(request_id: str, error: Exception) -> Response:
    kind = kind_of(error)
    if kind.status == 500:
        # A refused launch says itself what is wrong: a traceback is for what nobody thought of.
        _LOG.error(
            "request %s: %s", request_id, one_line(error), exc_info=error if kind is INTERNAL else None
        )
    return answer(kind, str(error), request_id, list(_places(error)))


def one_line(error: Exception) -> str:
    """The error's text for the log, whatever bytes of a client stand in it."""
    return "".join(char if char.isprintable() else " " for char in str(error))


def _places(error: Exception) -> Iterator[dict[str, str]]:
    if isinstance(error, UnknownMetric):
        yield at("?metrics", str(error))
    field = getattr(error, "field", None)
    if field is not None:
        pointer = "/" + str(field).replace(".", "/")
        yield at(pointer, str(getattr(error, "why", None) or error))


def _problem(request_id: str, error: Problem) -> Response:
    return answer(error.kind, error.detail, request_id, error.errors)


def _http_error(request_id: str, error: HTTPException) -> Response:
    kind = of_status(error.status_code)
    is_told = error.detail != HTTPStatus(error.status_code).phrase
    response = answer(kind, str(error.detail) if is_told else kind.title, request_id)
    response.headers.update(error.headers or {})
    return response


async def _bad_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [at(*complain(request, found)) for found in error.errors()[:20]]
    first = errors[0]
    return answer(INVALID, f"{first['pointer']}: {first['detail']}", request.state.request_id, errors)


def _hung_up(request_id: str, error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody is there to read it


def _unexpected(request_id: str, error: Exception) -> Response:
    _LOG.error("request %s failed", request_id, exc_info=error)
    return answer(INTERNAL, "something failed that should not", request_id)
