"""Bearer tokens: `cgw_<id>_<secret>`, kept as SHA-256 in one file, compared in constant time, with expiry."""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from web.scopes import Scope, parse_scope

_PREFIX: Final = "cgw"
_FILE_MODE: Final = 0o600
TOKENS_MAX: Final = 1000


class TokensDamaged(Exception):
    """The token file cannot be understood; the text says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is kept: never its secret, only the secret's hash."""

    id: str
    name: str
    scope: Scope
    sha256: str
    created_at: float
    expires_at: float | None

    def to_wire(self) -> dict[str, Any]:
        """For GET /tokens: everything but the hash."""
        shown = {"id": self.id, "name": self.name, "scope": self.scope.name.lower()}
        return shown | {"created_at": self.created_at, "expires_at": self.expires_at}


class Tokens:
    """The token file, read when it changed, replaced as a whole when we change it."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def check(self, text: str) -> Token | None:
        """The token that `text` proves, unless it is unknown, wrong, expired or revoked."""
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        known = self.all().get(token_id)
        # An unknown id costs the same comparison, so that timing does not tell which ids exist.
        expected = known.sha256 if known is not None else _sha256("")
        matches = hmac.compare_digest(_sha256(secret), expected)
        if prefix != _PREFIX or known is None or not matches:
            return None
        expired = known.expires_at is not None and known.expires_at <= self._clock()
        return None if expired else known

    def create(self, name: str, scope: Scope, lifetime_sec: float | None) -> tuple[Token, str]:
        """Make a token; its text is returned this once and kept nowhere."""
        now = self._clock()
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        expires_at = None if lifetime_sec is None else now + lifetime_sec
        token = Token(token_id, name, scope, _sha256(secret), now, expires_at)
        with self._lock:
            self._store({**self._read(), token_id: token})
        return token, f"{_PREFIX}_{token_id}_{secret}"

    def revoke(self, token_id: str) -> bool:
        """Forget a token at once; False if there was none."""
        with self._lock:
            tokens = self._read()
            if token_id not in tokens:
                return False
            self._store({key: token for key, token in tokens.items() if key != token_id})
        return True

    def all(self) -> dict[str, Token]:
        """All tokens by id."""
        with self._lock:
            return self._read()

    def _read(self) -> dict[str, Token]:
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            self._stamp, self._tokens = None, {}
            return self._tokens
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with open(fd, encoding="utf-8") as file:
                self._tokens = parse_tokens(file.read(), self._path)
            self._stamp = stamp
        return self._tokens

    def _store(self, tokens: dict[str, Token]) -> None:
        rows = [_row(token) for token in tokens.values()]
        beside = f"{self._path}.{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(beside, flags, _FILE_MODE), "w", encoding="utf-8") as file:
            json.dump({"tokens": rows}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, self._path)
        self._stamp = None


def parse_tokens(text: str, path: str) -> dict[str, Token]:
    """The token file's content by id; TokensDamaged for anything we did not write."""
    try:
        return {row["id"]: _parse_row(row) for row in json.loads(text)["tokens"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokensDamaged(
            f"{path} is damaged ({error!r}): restore it, or remove it and make new tokens"
        ) from error


def _parse_row(row: dict[str, Any]) -> Token:
    scope = parse_scope(row["scope"])
    if scope is None:
        raise ValueError(f"unknown scope {row['scope']!r}")
    expires_at = None if row["expires_at"] is None else float(row["expires_at"])
    return Token(
        str(row["id"]), str(row["name"]), scope, str(row["sha256"]), float(row["created_at"]), expires_at
    )


def _row(token: Token) -> dict[str, Any]:
    return token.to_wire() | {"sha256": token.sha256}


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
