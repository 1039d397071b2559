"""Which HTTP requests are taken at all: an h11 connection that refuses whatever is ambiguous.

Two readers of an ambiguous request may see two different requests (smuggling), so nothing is read kindly
here.
"""

from dataclasses import dataclass

import h11

from web.problems import BAD_REQUEST, HEADERS, TOO_LARGE, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How large one request may be."""

    header_bytes: int = 32 * 1024
    header_count: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 1_000_000


class StrictConnection(h11.Connection):
    """h11's server side with caps; `refusal_or` tells what was wrong with the message that it refused."""

    def __init__(self, limits: RequestLimits) -> None:
        super().__init__(h11.SERVER, limits.header_bytes)
        self._limits = limits
        self._body_bytes = 0
        self._refusal: tuple[Kind, str] | None = None

    def refusal_or(self, otherwise: str) -> tuple[Kind, str]:
        """The kind and the reason of the refusal."""
        return self._refusal or (BAD_REQUEST, otherwise)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11's, with the caps on top."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            kind = HEADERS if error.error_status_hint == 431 else BAD_REQUEST
            self._refusal = self._refusal or (kind, "this is not a well-formed HTTP request")
            raise
        if isinstance(event, h11.Request):
            self._body_bytes = 0
            self._check(event)
        elif isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            if self._body_bytes > self._limits.body_bytes:
                self._refuse(TOO_LARGE, self._body_text())
        return event

    def _check(self, request: h11.Request) -> None:
        names = [name for name, _ in request.headers]
        size = sum(len(name) + len(value) + 4 for name, value in request.headers)
        if len(names) > self._limits.header_count or size > self._limits.header_bytes:
            most = f"{self._limits.header_count} headers and {self._limits.header_bytes} bytes of them"
            self._refuse(HEADERS, f"at most {most} are taken")
        if len(request.target) > self._limits.target_bytes:
            self._refuse(HEADERS, f"an address of at most {self._limits.target_bytes} bytes is taken")
        if names.count(b"host") != 1:
            self._refuse(BAD_REQUEST, "a request must name exactly one Host")
        if not request.target.startswith(b"/"):
            self._refuse(BAD_REQUEST, "the address must start with /")
        if b"content-length" in names and b"transfer-encoding" in names:
            self._refuse(BAD_REQUEST, "Content-Length and Transfer-Encoding together are ambiguous")
        lengths = [value for name, value in request.headers if name == b"content-length"]
        if lengths and int(lengths[0]) > self._limits.body_bytes:
            self._refuse(TOO_LARGE, self._body_text())

    def _body_text(self) -> str:
        return f"a body of at most {self._limits.body_bytes} bytes is taken"

    def _refuse(self, kind: Kind, why: str) -> None:
        self._refusal = (kind, why)
        raise h11.RemoteProtocolError(why, error_status_hint=kind.status)
