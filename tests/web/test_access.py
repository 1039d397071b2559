"""Who may do what: each route against each kind of caller, and the ways in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.web.client import Answer
from tests.web.rig import Rig, running
from web.access import RouteWithoutScope, require_scopes
from web.logins import Logins, cookie_name
from web.scopes import ADMIN, OPEN, OPERATE, READ, Scope, parse_scope
from web.tokens import Tokens, TokensDamaged, parse_tokens

NAMES = {"{name}": "web", "{id}": "d-1"}
BODIES = {"wait": {"timeout_sec": 0}, "change_limits": {}, "log_in": {"code": "x"}}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Rig]:
    with running(failures_per_minute=10_000, logins_per_minute=10_000) as rig:
        yield rig


def operations(app: FastAPI) -> Iterator[tuple[str, str, str, Scope]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation["operationId"], parse_scope(operation["x-scope"]) or OPEN


def call(rig: Rig, method: str, path: str, operation: str, token: str | None) -> int:
    """Only the status, since some answers never end."""
    if "web" not in rig.launcher.known:
        rig.launcher.add("web")
    for variable, value in NAMES.items():
        path = path.replace(variable, value)
    body = json.dumps(BODIES.get(operation, {})).encode() if method in ("POST", "PATCH") else b""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with rig.connect(tcp=True) as connection:
        connection.sendall(head.encode() + body)
        return int(connection.recv(65536).split(b" ", 2)[1])


def test_every_route_lets_in_exactly_those_with_its_scope(guarded: Rig) -> None:
    tokens = {scope: guarded.token(scope) for scope in (READ, OPERATE, ADMIN)}

    for method, path, operation, scope in operations(guarded.app):
        for held, token in tokens.items():
            status = call(guarded, method, path, operation, token)
            expected_refusal = held < scope
            assert (status == 403) == expected_refusal, (method, path, held, status)
            assert status < 500 or status == 504, (method, path, held, status)


def test_no_route_but_the_open_ones_lets_in_those_without_proof(guarded: Rig) -> None:
    revoked, expired = guarded.token(), guarded.token(lifetime_sec=-1)
    guarded.access.tokens.revoke(revoked.split("_")[1])
    bad = [None, "cgw_0000_wrong", "nonsense", revoked, expired]

    for method, path, operation, scope in operations(guarded.app):
        for token in bad:
            status = call(guarded, method, path, operation, token)
            assert (status == 401) == (scope is not OPEN or operation == "log_in"), (path, token, status)


def test_only_health_and_log_in_are_open(guarded: Rig) -> None:
    found = {operation for _, _, operation, scope in operations(guarded.app) if scope is OPEN}

    assert found == {"read_health", "log_in"}


def test_a_route_without_a_scope_stops_the_start(rig: Rig) -> None:
    @rig.app.get("/api/v1/forgotten")
    async def forgotten() -> str:
        return "open to everyone"

    with pytest.raises(RouteWithoutScope, match="/api/v1/forgotten"):
        require_scopes(rig.app)


def test_the_unix_socket_needs_no_token_and_may_do_all(shared: Rig) -> None:
    told = shared.get("/api/v1/login").json

    assert (told["kind"], told["scope"]) == ("unix", "admin")


def test_a_refusal_says_which_scope_is_missing(shared: Rig) -> None:
    answer = shared.ask("POST", "/api/v1/containers/web/freeze", {}, tcp=True, token=shared.token(READ))

    assert (answer.status, answer.slug) == (403, "forbidden")
    assert answer.json["detail"] == "this needs the scope operate; yours is read"
    assert not shared.launcher.cgroups["web"].frozen


def test_no_header_turns_a_read_into_a_change(shared: Rig) -> None:
    headers = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}

    answer = shared.get("/api/v1/containers/web", tcp=True, token=shared.token(READ), headers=headers)

    assert answer.status == 200
    assert "web" in shared.launcher.known


def test_who_guesses_tokens_is_slowed_down_and_a_good_token_still_works(rig: Rig) -> None:
    statuses = [rig.get("/api/v1/host", tcp=True, token=f"cgw_1_{n}").status for n in range(40)]

    assert statuses[:30] == [401] * 30
    assert statuses[-1] == 429
    assert rig.get("/api/v1/host", tcp=True, token=rig.token(READ)).status == 200


def test_metrics_can_be_opened_to_this_host() -> None:
    with running(open_metrics=True) as rig:
        assert rig.get("/metrics", tcp=True).status == 200
        assert rig.get("/api/v1/host", tcp=True).status == 401


# --- one-time links and cookies


def log_in(rig: Rig, scope: str = "operate") -> str:
    code = rig.ask("POST", "/api/v1/login-codes", {"scope": scope}).json["code"]
    answer = rig.ask("POST", "/api/v1/login", {"code": code}, tcp=True)
    assert answer.status == 204
    return answer.headers["set-cookie"]


def with_cookie(rig: Rig, method: str, path: str, cookie: str, body: Any = None, **headers: str) -> Answer:
    sent = {"Cookie": cookie.partition(";")[0]} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return rig.ask(method, path, body, tcp=True, headers=sent)


def test_a_link_is_traded_once_for_a_cookie_that_scripts_and_other_sites_cannot_use(rig: Rig) -> None:
    link = rig.ask("POST", "/api/v1/login-codes").json
    first = rig.ask("POST", "/api/v1/login", {"code": link["code"]}, tcp=True)
    second = rig.ask("POST", "/api/v1/login", {"code": link["code"]}, tcp=True)

    assert link["url"] == f"http://{rig.address}/#code={link['code']}"
    assert first.status == 204
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(first.headers["set-cookie"].split("; "))
    assert second.status == 401


def test_the_cookie_reads_and_changes_from_our_own_pages_alone(rig: Rig) -> None:
    rig.launcher.add("web")
    cookie, path = log_in(rig), "/api/v1/containers/web/freeze"

    assert with_cookie(rig, "GET", "/api/v1/containers", cookie).status == 200
    assert with_cookie(rig, "POST", path, cookie, {}).slug == "foreign-site"
    assert with_cookie(rig, "POST", path, cookie, {}, Sec_Fetch_Site="cross-site").slug == "foreign-site"
    assert with_cookie(rig, "POST", path, cookie, {}, Sec_Fetch_Site="same-site").slug == "foreign-site"
    assert with_cookie(rig, "POST", path, cookie, {}, Origin="http://evil.example").slug == "foreign-site"
    assert with_cookie(rig, "POST", path, cookie, {}, Origin="null").slug == "foreign-site"
    assert not rig.launcher.cgroups["web"].frozen
    assert with_cookie(rig, "POST", path, cookie, {}, Sec_Fetch_Site="same-origin").status == 200
    assert with_cookie(rig, "POST", path, cookie, {}, Origin=f"http://{rig.address}").status == 200


def test_a_dashboard_login_may_not_start_or_remove_containers(rig: Rig) -> None:
    rig.launcher.add("web")
    cookie = log_in(rig)

    answer = with_cookie(
        rig, "DELETE", "/api/v1/containers/web?force=true", cookie, Sec_Fetch_Site="same-origin"
    )

    assert answer.status == 403


def test_daemons_on_two_ports_of_a_host_keep_their_logins_apart(rig: Rig) -> None:
    mine = log_in(rig).partition(";")[0]
    port = rig.address.rpartition(":")[2]
    other = "cgwarden_login_1=of-another-daemon"

    assert mine.startswith(f"cgwarden_login_{port}=")
    assert with_cookie(rig, "GET", "/api/v1/host", other).status == 401
    assert rig.get("/api/v1/host", tcp=True, headers={"Cookie": f"{other}; {mine}"}).status == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:9380", "cgwarden_login_9380"),
        ("[::1]:9380", "cgwarden_login_9380"),
        ("[::1]", "cgwarden_login"),
        ("warden.example", "cgwarden_login"),
        ("", "cgwarden_login"),
    ],
)
def test_a_cookie_is_named_after_the_port_that_the_browser_sees(host: str, name: str) -> None:
    assert cookie_name(host) == name


def test_logging_out_ends_the_cookie(rig: Rig) -> None:
    cookie = log_in(rig)

    assert with_cookie(rig, "DELETE", "/api/v1/login", cookie, Sec_Fetch_Site="same-origin").status == 204
    assert with_cookie(rig, "GET", "/api/v1/host", cookie).status == 401


def test_five_log_ins_a_minute_are_tried_and_no_more(rig: Rig) -> None:
    statuses = [rig.ask("POST", "/api/v1/login", {"code": "x"}, tcp=True).status for _ in range(7)]

    assert statuses == [401] * 5 + [429] * 2


def test_a_code_is_worth_nothing_after_a_minute() -> None:
    now = [0.0]
    logins = Logins(clock=lambda: now[0])
    code = logins.new_code(OPERATE)

    now[0] = 61.0

    assert logins.trade(code) is None


def test_a_cookie_ends_after_twelve_hours_and_memory_is_bounded() -> None:
    now = [0.0]
    logins = Logins(clock=lambda: now[0])
    cookies = [logins.trade(logins.new_code(READ)) or "" for _ in range(400)]

    assert logins.check(cookies[-1]) is READ
    assert logins.check(cookies[0]) is None
    now[0] = 13 * 3600.0
    assert logins.check(cookies[-1]) is None


# --- tokens


def test_tokens_are_made_listed_and_revoked_over_the_api(rig: Rig) -> None:
    made = rig.ask("POST", "/api/v1/tokens", {"name": "ci", "scope": "read", "expires_in_sec": 60})
    token = made.json["token"]

    assert made.status == 201
    assert rig.get("/api/v1/host", tcp=True, token=token).status == 200
    listed = rig.get("/api/v1/tokens")
    assert [row["name"] for row in listed.json["tokens"]] == ["ci"]
    assert token.split("_", 2)[2].encode() not in listed.body
    assert rig.ask("DELETE", f"/api/v1/tokens/{made.json['id']}").status == 204
    assert rig.get("/api/v1/host", tcp=True, token=token).status == 401
    assert rig.ask("DELETE", f"/api/v1/tokens/{made.json['id']}").status == 404


def test_the_token_file_holds_no_secret_and_is_for_root_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"

    _, text = Tokens(str(path)).create("x", ADMIN, None)

    assert text.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_token_is_known_to_a_later_daemon_until_it_expires(tmp_path: Path) -> None:
    now = [1000.0]
    path = str(tmp_path / "tokens.json")
    _, text = Tokens(path, clock=lambda: now[0]).create("x", READ, 60.0)
    later = Tokens(path, clock=lambda: now[0])

    assert later.check(text) is not None
    now[0] = 1061.0
    assert later.check(text) is None


@pytest.mark.parametrize("text", ["", "cgw", "cgw__", "cgw_\udcff_\udcff", "x" * 100_000, "cgw_{}_"])
def test_nonsense_is_no_token(tmp_path: Path, text: str) -> None:
    assert Tokens(str(tmp_path / "tokens.json")).check(text) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"tokens": [{}]}', '{"tokens": [{"id": 1}]}', '{"tokens": 1}']
)
def test_a_damaged_token_file_is_told_and_not_taken_for_empty(text: str) -> None:
    with pytest.raises(TokensDamaged, match="the file is damaged"):
        parse_tokens(text, "the file")
