"""The application factory: routes, parts and checks put together, without a global."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from web import (
    archive,
    attach,
    containers,
    dashboard,
    decisions,
    events,
    exec,
    freezer,
    groups,
    healthz,
    history,
    host,
    images,
    layers,
    limits,
    login,
    logs,
    metrics,
    processes,
    starting,
    stream,
    usage,
    volumes,
)
from web.access import require_scopes
from web.attach import Attachments
from web.dashboard import Dashboard
from web.doc import describe
from web.errors import add_handlers
from web.hosts import Edge
from web.metrics import Metrics
from web.parts import Services
from web.queries import refuse_unknown_query
from web.stream import Streams
from web.threads import Threads

_API = (
    containers,
    starting,
    limits,
    freezer,
    groups,
    usage,
    history,
    logs,
    exec,
    attach,
    archive,
    processes,
    images,
    layers,
    volumes,
    host,
    events,
    stream,
    decisions,
    login,
)


class Application(FastAPI):
    """FastAPI inside our edge, which so covers the framework's own error pages as well."""

    def build_middleware_stack(self) -> ASGIApp:
        """The whole stack, wrapped once more."""
        access = self.state.services.access
        edge = Edge(super().build_middleware_stack(), access.allowed_hosts, access.trusted_origins)
        self.state.metrics.answers = edge.answers
        return edge


def create_app(services: Services, *, ui: Dashboard | None = None, cadvisor_names: bool = True) -> FastAPI:
    """The web application on top of `services`.

    Raises RouteWithoutScope if a route does not say who may call it, here or, for additions, at start-up.
    """
    app = make_routes()
    app.state.services = services
    app.state.threads = Threads()
    app.state.attachments = Attachments()
    app.state.streams = Streams(services, app.state.threads)
    app.state.metrics = Metrics(services, app.state.streams, cadvisor_names=cadvisor_names)
    app.state.dashboard = ui or Dashboard()
    return app


def make_routes() -> Application:
    """The application without anything behind it: enough for its OpenAPI document."""
    app = Application(
        title="cgwarden",
        lifespan=_lifespan,
        docs_url=None,  # these load from a CDN
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(refuse_unknown_query)],
    )
    _include_routes(app)
    add_handlers(app)
    require_scopes(app)
    describe(app)
    return app


def _include_routes(app: FastAPI) -> None:
    api = APIRouter(prefix="/api/v1")
    for module in _API:
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(healthz.router)
    app.include_router(metrics.router)
    app.include_router(dashboard.router)  # the last: it takes whatever is left


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    require_scopes(app)
    running = asyncio.create_task(app.state.streams.run())
    stop_counting = app.state.services.events.subscribe(app.state.metrics.count_event)
    try:
        yield
    finally:
        stop_counting()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _operation_id(route: APIRoute) -> str:
    return route.name
