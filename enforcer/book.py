"""All claims in memory, and one lock per container: who owns what now. The journal keeps the same."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping

from enforcer.claims import FieldClaims
from enforcer.ledger import Place


class Book:
    """Claims by place; every change is made under the container's lock."""

    def __init__(self) -> None:
        self._claims: dict[Place, FieldClaims] = {}
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def lock(self, name: str) -> threading.RLock:
        """The lock that serialises all changes of one container."""
        with self._guard:
            return self._locks[name]

    def get(self, place: Place) -> FieldClaims | None:
        """The claims on a field; None if nobody has any."""
        return self._claims.get(place)

    def put(self, place: Place, claims: FieldClaims | None) -> None:
        """Replace the claims on a field; None and no claims at all forget it."""
        with self._guard:
            if claims is None or not claims.claims:
                self._claims.pop(place, None)
            else:
                self._claims[place] = claims

    def of(self, name: str, ino: int) -> Mapping[str, FieldClaims]:
        """Every claimed field of one cgroup."""
        with self._guard:
            return {
                place.field: claims
                for place, claims in self._claims.items()
                if place.name == name and place.ino == ino
            }

    def places(self, name: str | None = None) -> list[tuple[Place, FieldClaims]]:
        """Everything that is claimed, of one name or of all."""
        with self._guard:
            return [(place, claims) for place, claims in self._claims.items() if name in (None, place.name)]
