"""Malformed and hostile requests, sent as bytes: refused with a 4xx problem, and the connection closed."""

import json

import pytest

from tests.web.client import read_all
from tests.web.rig import Rig

OK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

MALFORMED = {
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "no host in 1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "negative length": b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "length and chunked": (
        b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "space before colon": b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "bare CR in header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    "NUL in header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "absolute address": b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in address": b"GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 120 + b"\r\n",
    "large header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
    "large address": b"GET /" + b"y" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad chunk": b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "method in lower case with NUL": b"G\0T / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_refused_as_a_problem_and_closed(shared: Rig, request_bytes: bytes) -> None:
    answer = shared.raw(request_bytes, tcp=True)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")), answer
    assert b"application/problem+json" in head
    assert answer.count(b"HTTP/1.1") == 1
    assert json.loads(body)["request_id"]


def test_the_server_still_answers_after_all_that(shared: Rig) -> None:
    assert shared.raw(OK).startswith(b"HTTP/1.1 200")


def test_requests_on_one_connection_are_answered_in_order(shared: Rig) -> None:
    with shared.connect() as connection:
        connection.sendall(OK.replace(b"Connection: close\r\n", b"") * 3 + OK)

        assert read_all(connection).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "[::1]x", "", "a:b:c"],
)
def test_a_foreign_host_name_is_not_served_over_tcp(shared: Rig, host: str) -> None:
    answer = shared.raw(OK.replace(b"localhost", host.encode()), tcp=True)

    assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400")), answer


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9380", "127.0.0.1:1", "[::1]", "[::1]:9380"])
def test_our_own_names_are_served(shared: Rig, host: str) -> None:
    assert shared.raw(OK.replace(b"localhost", host.encode()), tcp=True).startswith(b"HTTP/1.1 200")


def test_any_host_name_will_do_on_the_unix_socket(shared: Rig) -> None:
    assert shared.raw(OK.replace(b"localhost", b"whatever")).startswith(b"HTTP/1.1 200")


def post(body: bytes, extra: bytes = b"Content-Type: application/json\r\n") -> bytes:
    head = b"POST /api/v1/containers/web/freeze HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_body_announced_too_large_is_refused_before_it_is_sent(shared: Rig) -> None:
    head = post(b"").replace(b"Content-Length: 0", b"Content-Length: 104857600")

    assert b"HTTP/1.1 413" in shared.raw(head)


def test_a_large_body_is_cut_off_and_the_refusal_still_arrives(shared: Rig) -> None:
    assert b"HTTP/1.1 413" in shared.raw(post(b"[" * 20_000_000))


def test_chunks_without_end_are_cut_off(shared: Rig) -> None:
    head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    assert b"HTTP/1.1 413" in shared.raw(head + chunk * 40)


BODIES = {
    "not JSON": b"{",
    "a list": b"[1]",
    "a number": b"1",
    "NaN": b'{"lease_sec": NaN}',
    "infinity": b'{"lease_sec": Infinity}',
    "too large a float": b'{"lease_sec": 1e999}',
    "too many digits": b'{"lease_sec": ' + b"9" * 5000 + b"}",
    "huge integer": b'{"lease_sec": ' + b"9" * 400 + b"}",
    "nested deeply": b'{"reason": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects nested deeply": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "not UTF-8": b'{"reason": "\xff"}',
    "UTF-16": '{"reason": "x"}'.encode("utf-16"),
    "half a surrogate": b'{"reason": "\\ud800"}',
    "a key twice": b'{"reason": "a", "reason": "b"}',
    "many equal keys": b"{" + b",".join([b'"a":1'] * 100_000) + b"}",
    "wrong type": b'{"reason": 1}',
    "boolean for a number": b'{"lease_sec": true}',
    "negative": b'{"lease_sec": -1}',
    "unknown key": b'{"leese_sec": 1}',
    "key with slash and tilde": b'{"a/b~c": 1}',
    "NUL in text": b'{"reason": "\\u0000"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_makes_no_sense_is_a_client_error_and_changes_nothing(shared: Rig, body: bytes) -> None:
    answer = shared.ask("POST", "/api/v1/containers/web/freeze", body)

    assert answer.status in (400, 422), answer
    assert answer.slug == "bad-request"
    assert answer.json["detail"]
    assert not shared.launcher.cgroups["web"].frozen


def test_an_unknown_key_is_named_by_an_escaped_pointer_with_the_known_ones(shared: Rig) -> None:
    answer = shared.ask("POST", "/api/v1/containers/web/freeze", {"a/b~c": 1})

    assert answer.json["errors"] == [{"pointer": "/a~1b~0c", "detail": "unknown key"}]
    assert "reason, lease_sec, timeout_sec" in answer.json["detail"]


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"]
)
def test_a_form_is_no_json(shared: Rig, kind: bytes) -> None:
    assert b"HTTP/1.1 415" in shared.raw(post(b"{}", b"Content-Type: " + kind + b"\r\n"))


def test_a_compressed_body_is_not_unpacked(shared: Rig) -> None:
    extra = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"

    assert b"HTTP/1.1 415" in shared.raw(post(b"\x1f\x8b", extra))


@pytest.mark.parametrize(
    "query",
    [
        "events?limit=-1",
        "events?limit=1000000000",
        "events?after=99999999999999999999",
        "events?after=x",
        "events?limit=1&limit=2",
        "events?limit=5;drop",
        "events?sort=x",
        "containers/web/history?since_sec=nan",
        "containers/web/history?since_sec=-1",
        "containers/web/history?points=0",
        "containers/web/history?metrics=cpu_cores,nonsense",
        "containers/web/history?metrics=" + ",".join(f"m{n}" for n in range(100)),
        "containers/web/logs?tail=-1",
        "containers/web/logs?format=xml",
        "decisions?limit=0",
        "stream?topics=secrets",
        "stream?topics=container:",
        "host?x=1",
    ],
)
def test_a_query_out_of_bounds_is_refused_by_name(shared: Rig, query: str) -> None:
    answer = shared.get(f"/api/v1/{query}")

    assert answer.status in (400, 422), answer
    assert answer.json["errors"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/%252e%252e%252fetc%252fpasswd",
        "/..%5c..%5cetc%5cpasswd",
        "/index.html%00.js",
        "//etc/passwd",
        "/api/v1/containers/..%2f..%2fetc",
        "/api/v1/containers/%00",
        "/api/v1/containers/" + "x" * 300,
        "/api/v1/containers/-x",
        "/api/v1/nothing",
    ],
)
def test_an_address_that_leads_nowhere_is_not_found(shared: Rig, path: str) -> None:
    answer = shared.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b"root:" not in answer


def test_a_known_address_with_another_method_is_told_so(shared: Rig) -> None:
    answer = shared.ask("DELETE", "/api/v1/host")

    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


def test_no_answer_offers_itself_to_other_sites(shared: Rig) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}

    for method, path in (("GET", "/api/v1/host"), ("OPTIONS", "/api/v1/host"), ("GET", "/")):
        answer = shared.ask(method, path, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_carries_the_security_headers_errors_included(shared: Rig) -> None:
    for path in ("/", "/healthz", "/api/v1/containers", "/api/v1/nothing"):
        headers = shared.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] in ("no-store", "no-cache")
