"""Attempts per time and key, in bounded memory, so that guessing tokens or log-in codes is slow."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_KEYS_MAX: Final = 1024


class Rate:
    """A token bucket per key: `count` attempts in `per_sec` seconds; the oldest keys are forgotten."""

    def __init__(self, count: int, per_sec: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = float(count)
        self._refill_per_sec = count / per_sec
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str) -> bool:
        """Take one attempt of `key`; False when none is left."""
        now = self._clock()
        left, since = self._buckets.pop(key, (self._count, now))
        left = min(self._count, left + (now - since) * self._refill_per_sec)
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > _KEYS_MAX:
            self._buckets.popitem(last=False)
        return allowed
