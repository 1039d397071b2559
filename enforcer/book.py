"""All claims in memory, and one lock per container: who owns what now. The journal keeps the same."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping

from enforcer.claims import FieldClaims
from enforcer.ledger_rows import Place


class Book:
    """Claims by place; every change is made under the container's lock."""

    def __init__(self) -> None:
        self._claims: defaultdict[tuple[str, int], dict[str, tuple[Place, FieldClaims]]] = defaultdict(dict)
        self._waiting: dict[Place, str] = {}
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def lock(self, name: str) -> threading.RLock:
        """The lock that serialises all changes of one container."""
        with self._guard:
            return self._locks[name]

    def get(self, place: Place) -> FieldClaims | None:
        """The claims on a field; None if nobody has any."""
        return self.of(place.name, place.ino).get(place.field)

    def put(self, place: Place, claims: FieldClaims | None) -> None:
        """Replace the claims on a field; None and no claims at all forget it."""
        key = (place.name, place.ino)
        with self._guard:
            self._waiting.pop(place, None)
            fields = self._claims[key]
            if claims is not None and claims.claims:
                fields[place.field] = (place, claims)
                return
            fields.pop(place.field, None)
            if not fields:
                del self._claims[key]

    def defer(self, place: Place, why: str) -> None:
        """A lease on this field is over but cannot be ended yet; forgotten with the next change of claims."""
        with self._guard:
            if place.field in self._claims.get((place.name, place.ino), {}):
                self._waiting[place] = why

    def waiting(self, place: Place) -> str | None:
        """What the end of a lease on this field waits for."""
        with self._guard:
            return self._waiting.get(place)

    def of(self, name: str, ino: int) -> Mapping[str, FieldClaims]:
        """Every claimed field of one cgroup."""
        with self._guard:
            fields = self._claims.get((name, ino))
            return {} if fields is None else {field: claims for field, (_, claims) in fields.items()}

    def places(self, name: str | None = None) -> list[tuple[Place, FieldClaims]]:
        """Everything that is claimed, of one name or of all."""
        with self._guard:
            return [
                held
                for (owner, _), fields in self._claims.items()
                if name in (None, owner)
                for held in fields.values()
            ]
