"""The OpenAPI document: hand-written schemas, since no model class builds the answers, and routes' scopes."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from web.access import all_routes, scope_of
from web.logins import COOKIE
from web.schemas import SCHEMAS
from web.scopes import OPEN

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "cgw_<id>_<secret>"},
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": f"{COOKIE}_9380",
        "description": "named after the port",
    },
}


def answers(schema: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Declare what a route answers: `responses=answers("Container")`."""
    return {status: {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}}


def takes(schema: str, *, required: bool = True) -> dict[str, Any]:
    """Declare the body that a route reads: `openapi_extra=takes("FreezeWish")`."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _ref(schema)}}}}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell the hand-written schemas, the scopes and the problems."""
    app.openapi = _describer(app)  # type: ignore[method-assign]


def _describer(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return document


def _document(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(title="cgwarden", version="1", routes=app.routes)
    told["components"] = {"schemas": dict(sorted(SCHEMAS.items())), "securitySchemes": _SECURITY}
    scopes = {
        (route.name, method.lower()): scope_of(route)
        for route in all_routes(app.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    for operations in told["paths"].values():
        for method, operation in operations.items():
            _finish(operation, scopes.get((operation["operationId"], method)) or OPEN)
    return told


def _finish(operation: dict[str, Any], scope: Any) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {"description": "Problem", "content": _PROBLEM}
    operation["x-scope"] = scope.name.lower()
    operation["security"] = [] if scope is OPEN else [{"token": []}, {"login": []}]


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
