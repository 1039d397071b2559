"""Who may do what: every route declares a scope, and one dependency checks peer, token or cookie for it."""

import grp
import pwd
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.params import Depends as DependsMarker
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from web.logins import Logins, cookie_name
from web.problems import Forbidden, TooMany, Unauthorized
from web.rates import Rate
from web.scopes import Scope
from web.sockets import is_loopback
from web.tokens import Tokens

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a unix socket, as the kernel names it (SO_PEERCRED, SO_PEERGROUPS)."""

    pid: int
    uid: int
    gids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, by which proof, and how much that one may do. `name` is what events and decisions record."""

    kind: str
    name: str
    scope: Scope


NOBODY: Final = Identity("nobody", "nobody", Scope.OPEN)


class RouteWithoutScope(Exception):
    """A route was added without saying who may call it; the application must not start."""


class Access:
    """The doors: root and one group over the unix socket; a bearer token or a log-in cookie over TCP."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        logins: Logins | None = None,
        group: str | None = None,
        open_metrics: bool = False,
        allowed_hosts: Iterable[str] = (),
        trusted_origins: Iterable[str] = (),
        failures_per_minute: int = 30,
        logins_per_minute: int = 5,
    ) -> None:
        self.tokens = tokens
        self.logins = logins or Logins()
        self.open_metrics = open_metrics
        self.allowed_hosts = _LOOPBACK_NAMES | {host.lower() for host in allowed_hosts}
        self.trusted_origins = frozenset(trusted_origins)
        self._gid = _group_id(group)
        self._failures = Rate(failures_per_minute, per_sec=60.0)
        self._attempts = Rate(logins_per_minute, per_sec=60.0)

    @classmethod
    def open(cls, tokens_path: str, **options: Any) -> "Access":
        """With the tokens kept in the file `tokens_path`, which need not exist yet."""
        return cls(Tokens(tokens_path), **options)

    def identify(self, request: Request) -> Identity:
        """Find out who asks; NOBODY when nothing is shown, Unauthorized when what is shown is no good."""
        peer = request.scope.get("state", {}).get("peer")
        if peer is not None:
            return self._peer_identity(peer)
        header = request.headers.get("authorization")
        if header is not None:
            return self._checked(request, self._token_identity(header), "this token is not valid (any more)")
        code = request.cookies.get(login_cookie(request))
        if code is not None:
            return self._checked(request, self._cookie_identity(code), "this log-in is over: log in again")
        return NOBODY

    def allow_login(self, client: str) -> bool:
        """Whether that client may try a log-in code now."""
        return self._attempts.allow(client)

    def _peer_identity(self, peer: Peer) -> Identity:
        if peer.uid != 0 and (self._gid is None or self._gid not in peer.gids):
            raise Forbidden("only root and the socket's group may use this socket")
        return Identity("unix", _user_name(peer.uid), Scope.ADMIN)

    def _token_identity(self, header: str) -> Identity | None:
        kind, _, secret = header.partition(" ")
        token = self.tokens.check(secret.strip()) if kind.lower() == "bearer" else None
        return None if token is None else Identity("token", token.name, token.scope)

    def _cookie_identity(self, code: str) -> Identity | None:
        scope = self.logins.check(code)
        return None if scope is None else Identity("cookie", "dashboard", scope)

    def _checked(self, request: Request, identity: Identity | None, otherwise: str) -> Identity:
        # A good proof is never refused for the failures of others behind the same address.
        if identity is not None:
            return identity
        if not self._failures.allow(client_of(request)):
            raise TooMany("too many failed attempts from this address: wait a minute")
        raise Unauthorized(otherwise)


class ScopeCheck:
    """The dependency that a route is declared with; the start-up check looks for it by its type."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        access: Access = request.app.state.services.access
        if self.scope is Scope.OPEN:
            request.state.identity = NOBODY
            return
        identity = access.identify(request)
        if identity.scope < self.scope:
            raise self._refusal(identity)
        request.state.identity = identity

    def _refusal(self, identity: Identity) -> Exception:
        if identity is NOBODY:
            return Unauthorized("this needs a token or a log-in")
        wanted, held = self.scope.name.lower(), identity.scope.name.lower()
        return Forbidden(f"this needs the scope {wanted}; yours is {held}")


class MetricsCheck(ScopeCheck):
    """Reading, unless the configuration opens /metrics to programs on this host."""

    def __init__(self) -> None:
        super().__init__(Scope.READ)

    async def __call__(self, request: Request) -> None:
        if request.app.state.services.access.open_metrics and is_loopback(client_of(request)):
            request.state.identity = NOBODY
            return
        await super().__call__(request)


def requires(scope: Scope) -> Any:
    """Declare who may call a route: `dependencies=[requires(READ)]`."""
    return Depends(ScopeCheck(scope))


def scope_of(route: BaseRoute) -> Scope | None:
    """The scope a route was declared with."""
    if not isinstance(route, APIRoute):
        return None
    for dependency in route.dependencies:
        if isinstance(dependency, DependsMarker) and isinstance(dependency.dependency, ScopeCheck):
            return dependency.dependency.scope
    return None


def all_routes(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Every route, those of included routers too (FastAPI keeps these nested)."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is None:
            yield route
        else:
            yield from all_routes(router.routes)


def require_scopes(app: FastAPI) -> None:
    """Refuse to start while any route does not say who may call it."""
    for route in all_routes(app.routes):
        if scope_of(route) is None:
            raise RouteWithoutScope(f"route {getattr(route, 'path', route)} declares no scope")


def client_of(request: Request) -> str:
    """The peer's address, for rate limits; all unix socket peers are one."""
    return request.client.host if request.client is not None else "unix"


def login_cookie(request: Request) -> str:
    """The name of the log-in cookie at the address that this client asked."""
    return cookie_name(request.headers.get("host", ""))


def actor_of(request: Request) -> str:
    """How decisions name the one who asked."""
    identity: Identity = request.state.identity
    return "operator" if identity.kind in ("unix", "cookie") else f"operator:{identity.name}"


def _group_id(group: str | None) -> int | None:
    try:
        return None if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        return None  # no such group: the socket is root's alone


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
