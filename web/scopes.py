"""The three scopes, in their order; apart from `access` because tokens and log-ins carry them too."""

import enum
from typing import Final


class Scope(enum.IntEnum):
    """How much one may do; each includes the ones before it."""

    OPEN = 0
    READ = 1
    OPERATE = 2
    ADMIN = 3


OPEN: Final = Scope.OPEN
READ: Final = Scope.READ
OPERATE: Final = Scope.OPERATE
ADMIN: Final = Scope.ADMIN


def parse_scope(text: str) -> Scope | None:
    """The scope of that name that can be given to someone; None for any other word."""
    given = {"read": READ, "operate": OPERATE, "admin": ADMIN}
    return given.get(text)
