"""RFC 9457 problem documents: the kinds, the errors that carry one, and the one place that answers with them.

Imported by the modules that raise; the table of the other parts' errors stands in `errors`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

CONTENT_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: the end of its `type`, its status, what to call it, and what usually helps."""

    slug: str
    status: int
    title: str
    hint: str | None = None
    exit_code: int | None = None


BAD_REQUEST: Final = Kind("bad-request", 400, "The request cannot be understood")
INVALID: Final = Kind("bad-request", 422, "The request asks for something that is not possible")
UNAUTHORIZED: Final = Kind(
    "forbidden", 401, "You are not known here", "use a token, or the link that `cgwarden dashboard` prints"
)
FORBIDDEN: Final = Kind("forbidden", 403, "You may not do this")
FOREIGN_SITE: Final = Kind("foreign-site", 403, "Another web site sent this request")
NOT_FOUND: Final = Kind("not-found", 404, "There is nothing at this address")
METHOD: Final = Kind("method-not-allowed", 405, "This address does not take that method")
TIMEOUT: Final = Kind("timeout", 504, "It did not happen in time")
SLOW_REQUEST: Final = Kind("slow-request", 408, "The request did not arrive in time")
REVISION: Final = Kind(
    "revision-changed", 412, "The limits were changed meanwhile", "read them again, then decide"
)
TOO_LARGE: Final = Kind("too-large", 413, "The request is too large")
MEDIA_TYPE: Final = Kind(
    "media-type", 415, "The body is not of a type that is read here", "send application/json"
)
MISDIRECTED: Final = Kind(
    "unknown-host",
    421,
    "This host name is not served here",
    "add it to web.allowed_hosts in the configuration",
)
TOO_MANY: Final = Kind("too-many-attempts", 429, "Too many attempts", "wait a minute")
HEADERS: Final = Kind("headers-too-large", 431, "The headers are too large")
INTERNAL: Final = Kind(
    "internal", 500, "cgwarden failed", "the daemon's log has the details under the request id"
)
BUSY: Final = Kind("busy", 503, "Too much is going on", "try again in a moment")

_BY_STATUS: Final = {
    kind.status: kind
    for kind in (BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD, TOO_LARGE, MEDIA_TYPE, INVALID)
}


class Problem(Exception):
    """An error that already knows how it is told to a client."""

    kind: Kind = BAD_REQUEST

    def __init__(
        self, detail: str, errors: Sequence[Mapping[str, str]] = (), kind: Kind | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        if kind is not None:
            self.kind = kind


class BadRequest(Problem):
    """Not JSON, not an object, an unknown key: the request cannot be understood."""


class Invalid(Problem):
    """Understood, and not possible: a wrong type, a number out of range."""

    kind = INVALID


class NotFound(Problem):
    """No such resource."""

    kind = NOT_FOUND


class Unauthorized(Problem):
    """No proof, or one that is no good."""

    kind = UNAUTHORIZED


class Forbidden(Problem):
    """Known, but not allowed."""

    kind = FORBIDDEN


class TooMany(Problem):
    """Too many attempts from one address."""

    kind = TOO_MANY


class Busy(Problem):
    """A cap was reached."""

    kind = BUSY


class Timeout(Problem):
    """The time that the client gave has passed."""

    kind = TIMEOUT


class RevisionChanged(Problem):
    """If-Match names another revision than the present one."""

    kind = REVISION


def at(pointer: str, detail: str) -> dict[str, str]:
    """One entry of `errors`: where in the request, and what is wrong there."""
    return {"pointer": pointer, "detail": detail}


def of_status(status: int) -> Kind:
    """The kind for an error of the framework, which has only a status."""
    return _BY_STATUS.get(status) or Kind("http", status, "The request failed")


def new_request_id() -> str:
    """What connects an answer with the daemon's log."""
    return secrets.token_hex(8)


def document(
    kind: Kind,
    detail: str,
    request_id: str,
    errors: Sequence[Mapping[str, str]] = (),
    hint: str | None = None,
) -> dict[str, Any]:
    """The problem as it goes over the wire; a hint that the detail gives already is left out."""
    helps = hint or kind.hint
    told: dict[str, Any] = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "errors": list(errors),
        "hint": None if helps is None or helps in detail else helps,
        "request_id": request_id,
    }
    if kind.exit_code is not None:
        told["exit_code"] = kind.exit_code
    return told


def answer(
    kind: Kind,
    detail: str,
    request_id: str,
    errors: Sequence[Mapping[str, str]] = (),
    hint: str | None = None,
) -> Response:
    """The problem as a response."""
    body = json.dumps(document(kind, detail, request_id, errors, hint)).encode()
    headers = {"WWW-Authenticate": 'Bearer realm="cgwarden"'} if kind.status == 401 else {}
    if kind.status in (429, 503):
        headers["Retry-After"] = "60" if kind.status == 429 else "1"
    return Response(body, kind.status, headers, CONTENT_TYPE)
