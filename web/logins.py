"""One-time log-in codes and the cookies they are traded for; both live in memory and end with the daemon."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from web.scopes import Scope

COOKIE: Final = "cgwarden_login"  # how the name of every such cookie begins
CODE_LIFETIME_SEC: Final = 60.0
COOKIE_LIFETIME_SEC: Final = 12 * 3600.0
_CODES_MAX: Final = 64
_LOGINS_MAX: Final = 256


def cookie_name(host: str) -> str:
    """The cookie's name for a Host header: to a browser, all ports of a host are one owner of cookies.

    The port is the one that the browser sees, so that it also tells apart two tunnels to other hosts.
    """
    port = host.rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isascii() and port.isdigit() else COOKIE


class Logins:
    """Codes that work once within a minute, and the log-ins made from them, by the hash of their secret."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[Scope, float]] = {}
        self._logins: dict[str, tuple[Scope, float]] = {}

    def new_code(self, scope: Scope) -> str:
        """A code that can be traded once, for a minute, for a cookie of that scope."""
        return self._remember(self._codes, scope, CODE_LIFETIME_SEC, _CODES_MAX)

    def trade(self, code: str) -> str | None:
        """Use the code up and return the cookie's value; None for a code that is unknown, used or too old."""
        scope = self._find(self._codes, code, forget=True)
        if scope is None:
            return None
        return self._remember(self._logins, scope, COOKIE_LIFETIME_SEC, _LOGINS_MAX)

    def check(self, cookie: str) -> Scope | None:
        """What the bearer of that cookie may do."""
        return self._find(self._logins, cookie)

    def end(self, cookie: str) -> None:
        """Log out."""
        self._find(self._logins, cookie, forget=True)

    def _remember(
        self, where: dict[str, tuple[Scope, float]], scope: Scope, lifetime_sec: float, most: int
    ) -> str:
        secret = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            for key in [key for key, (_, until) in where.items() if until <= now]:
                del where[key]
            while len(where) >= most:
                del where[next(iter(where))]
            where[_digest(secret)] = (scope, now + lifetime_sec)
        return secret

    def _find(
        self, where: dict[str, tuple[Scope, float]], secret: str, *, forget: bool = False
    ) -> Scope | None:
        # Looked up by hash, so that the time a miss takes tells nothing about the secret.
        key = _digest(secret)
        with self._lock:
            found = where.pop(key, None) if forget else where.get(key)
        if found is None or found[1] <= self._clock():
            return None
        return found[0]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
