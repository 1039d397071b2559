"""The edge of the application: host names, foreign web sites, security headers, request ids, a count.

It wraps everything, the framework's own error pages included, so that no answer can go around it.
"""

from collections import Counter
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.logins import COOKIE
from web.problems import FOREIGN_SITE, MISDIRECTED, Kind, answer, new_request_id

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")


class Edge:
    """ASGI wrapper around the whole application; `answers` counts (method, status) for /metrics."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str], trusted_origins: Iterable[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(allowed_hosts)
        self._trusted_origins = frozenset(trusted_origins)
        self.answers: Counter[tuple[str, int]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = new_request_id()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_security(message.get("headers", ()))
                self.answers[_method(scope), message["status"]] += 1
            await send(message)

        refusal = None if state.get("peer") is not None else self._refusal(scope)
        app = self._app if refusal is None else answer(*refusal, state["request_id"])
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[Kind, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._allowed_hosts:
            return MISDIRECTED, f"the host name {hosts[0][:100] if hosts else ''!r} is not served here"
        if scope["method"] not in _SAFE_METHODS and self._is_foreign(scope, headers):
            origin = headers.get("origin", "unknown")[:100]
            return (
                FOREIGN_SITE,
                f"the request comes from {origin}: add it to web.trusted_origins if it is yours",
            )
        return None

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Whether a browser was sent here by another site (Fetch Metadata, or else Origin against Host)."""
        origin = headers.get("origin")
        if origin is not None and origin in self._trusted_origins:
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        if origin is not None:
            return origin != f"{scope['scheme']}://{headers['host']}"
        # Neither header: no browser, or one that hides where it comes from. Its cookie alone changes nothing.
        return COOKIE in headers.get("cookie", "") and "authorization" not in headers


def host_name(host: str) -> str:
    """The name in a Host header, without its port; the brackets of an IPv6 address belong to the name."""
    if host.startswith("["):
        name, bracket, port = host.partition("]")
        name += bracket
        valid = not port or (port[0] == ":" and port[1:].isdigit())
    else:
        name, _, port = host.partition(":")
        valid = not port or port.isdigit()
    return name.lower() if valid and host.isascii() else ""


def _method(scope: Scope) -> str:
    # A made-up method must not make a new time series.
    known = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
    return scope["method"] if scope["method"] in known else "other"


def _with_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    told = list(headers)
    told += _HEADERS
    if not any(name.lower() == b"cache-control" for name, _ in told):
        told.append(_NO_STORE)
    return told
