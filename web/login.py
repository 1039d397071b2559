"""Ways in over TCP: one-time codes traded for a cookie, and bearer tokens made and revoked."""

from typing import Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from web.access import client_of, login_cookie, requires
from web.bodies import Fields, read_object
from web.containers import parts_of
from web.doc import answers, takes
from web.logins import CODE_LIFETIME_SEC, COOKIE_LIFETIME_SEC
from web.problems import Invalid, NotFound, TooMany, Unauthorized, at
from web.scopes import ADMIN, OPEN, READ, Scope, parse_scope
from web.wire import reply, rfc3339

_LONGEST_TOKEN_SEC: Final = 10 * 366 * 24 * 3600.0

router = APIRouter(tags=["access"])


@router.post("/login", status_code=204, dependencies=[requires(OPEN)], openapi_extra=takes("LoginCode"))
async def log_in(request: Request) -> Response:
    """Trade a one-time code for a cookie; five attempts a minute."""
    services, _ = parts_of(request)
    fields = Fields(await read_object(request))
    code = fields.text("code", most=200) or ""
    fields.finish()
    if not services.access.allow_login(client_of(request)):
        raise TooMany("five log-ins a minute are taken from one address: wait a minute")
    cookie = services.access.logins.trade(code)
    if cookie is None:
        raise Unauthorized("this log-in code is unknown, used or older than a minute")
    response = Response(status_code=204)
    response.set_cookie(
        login_cookie(request),
        cookie,
        max_age=int(COOKIE_LIFETIME_SEC),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.delete("/login", status_code=204, dependencies=[requires(READ)])
async def log_out(request: Request) -> Response:
    """End the log-in of this cookie."""
    services, _ = parts_of(request)
    name = login_cookie(request)
    services.access.logins.end(request.cookies.get(name, ""))
    response = Response(status_code=204)
    response.delete_cookie(name, path="/", httponly=True, samesite="strict")
    return response


@router.get("/login", dependencies=[requires(READ)], responses=answers("Whoami"))
async def who_am_i(request: Request) -> Response:
    """How the one who asks is known here, and what that one may do."""
    identity = request.state.identity
    return reply({"kind": identity.kind, "name": identity.name, "scope": identity.scope.name.lower()})


@router.post(
    "/login-codes",
    dependencies=[requires(ADMIN)],
    responses=answers("LoginLink"),
    openapi_extra=takes("ScopeWish", required=False),
)
async def create_login_code(request: Request) -> Response:
    """A link that opens the dashboard once, within a minute; behind #, the code reaches no log."""
    services, _ = parts_of(request)
    fields = Fields(await read_object(request))
    scope = _scope(fields.text("scope"), default=Scope.OPERATE)
    fields.finish()
    code = services.access.logins.new_code(scope)
    listen = services.info.get("listen") or []
    url = f"http://{listen[0]}/#code={code}" if listen else None
    return reply({"code": code, "url": url, "expires_in_sec": int(CODE_LIFETIME_SEC)})


@router.get("/tokens", dependencies=[requires(ADMIN)], responses=answers("TokenList"))
async def list_tokens(request: Request) -> Response:
    """All tokens, without their secrets."""
    services, threads = parts_of(request)
    tokens = await threads.read(services.access.tokens.all)
    return reply({"tokens": [_token_view(token.to_wire()) for token in tokens.values()]})


@router.post(
    "/tokens",
    status_code=201,
    dependencies=[requires(ADMIN)],
    responses=answers("NewToken", status=201),
    openapi_extra=takes("TokenWish"),
)
async def create_token(request: Request) -> Response:
    """Make a bearer token; its text is shown this once."""
    services, threads = parts_of(request)
    fields = Fields(await read_object(request))
    name = fields.text("name", most=60) or "token"
    scope = _scope(fields.text("scope"), default=Scope.READ)
    lifetime_sec = fields.number("expires_in_sec", least=1, most=_LONGEST_TOKEN_SEC)
    fields.finish()
    token, text = await threads.change(services.access.tokens.create, name, scope, lifetime_sec)
    return reply(_token_view(token.to_wire()) | {"token": text}, 201)


@router.delete("/tokens/{id}", status_code=204, dependencies=[requires(ADMIN)])
async def revoke_token(request: Request, id: str = Path(max_length=40)) -> Response:
    """Revoke a token at once."""
    services, threads = parts_of(request)
    if not await threads.change(services.access.tokens.revoke, id):
        raise NotFound(f"there is no token {id!r}")
    return Response(status_code=204)


def _scope(text: str | None, default: Scope) -> Scope:
    scope = default if text is None else parse_scope(text)
    if scope is None:
        raise Invalid(
            f"{text[:40] if text else ''!r} is not a scope", [at("/scope", "read, operate or admin")]
        )
    return scope


def _token_view(token: dict[str, Any]) -> dict[str, Any]:
    expires_at = token["expires_at"]
    return token | {
        "created_at": rfc3339(token["created_at"]),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
    }
