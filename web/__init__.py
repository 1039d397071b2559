"""The HTTP side of cgwarden: the API, live streams, /metrics and the dashboard, with every part passed in.

`create_app(services)` makes the application, `sockets` binds where it listens, `server.serve` runs it there.
"""

from web.access import Access
from web.app import create_app
from web.health import Health
from web.parts import Services
from web.scopes import Scope

__all__ = ["Access", "Health", "Scope", "Services", "create_app"]
