"""Unpacked layers on disk, each under the digest of its uncompressed archive, shared by all that use it.

STATE_DIR/layers/<hex of the diff id>/tree        the files, in overlay's form
                                      meta.json   diff id, digests, sizes; complete as soon as the name exists
STATE_DIR/layers/.staging-…                       being unpacked, or left by a crash: swept at the next start

A layer appears by one rename, after its files are on disk. It is never changed afterwards.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any, Final

from launcher import records
from launcher.failpoints import reach
from launcher.images.errors import BadImage, DigestMismatch
from launcher.images.reference import DIGEST
from launcher.images.streams import Limits
from launcher.images.unpacking import Blob, Unpacked, digest_of_tree, unpack_blob
from launcher.removal import REMOVED, try_remove_tree

STAGING: Final = ".staging-"
AT_ONCE: Final = 4
"""Layers that are unpacked at the same time; more wait for their turn."""
META: Final = "meta.json"


class Layers:
    """Safe to use from any thread: what two want at the same time is unpacked once."""

    def __init__(self, directory: str, limits: Limits) -> None:
        self._directory = directory
        self.limits = limits
        self._lock = threading.Lock()
        self._unpacking: dict[str, threading.Lock] = {}
        self._pins: Counter[str] = Counter()
        os.makedirs(directory, 0o700, exist_ok=True)
        self._room = threading.BoundedSemaphore(AT_ONCE)
        left = [name for name in os.listdir(directory) if name.startswith((STAGING, REMOVED))]
        # Beside the start, which containers wait for: half a layer can be many files.
        self._sweeper = threading.Thread(target=self._sweep, args=(left,), name="sweep layers", daemon=True)
        self._sweeper.start()

    def path(self, diff_id: str) -> str:
        """Where the layer's files are, or would be."""
        return f"{self._home(diff_id)}/tree"

    def has(self, diff_id: str) -> bool:
        return os.path.isdir(self._home(diff_id))

    def all(self) -> set[str]:
        """The diff ids of every layer here."""
        names = (f"sha256:{name}" for name in os.listdir(self._directory))
        return {name for name in names if DIGEST.fullmatch(name)}

    def meta(self, diff_id: str) -> dict[str, Any]:
        """What was recorded when it was unpacked; empty for a layer that is not here."""
        return records.read_record(self._home(diff_id), META) or {}

    def add(self, blob: Blob, *, diff_id: str | None = None, digest: str | None = None) -> str:
        """Unpack a layer unless it is here already; its diff id, pinned. Digests are checked where given.

        Raises BadImage for what cannot be unpacked; whatever fails, nothing of it stays.
        """
        if diff_id is None:
            return self._unpack(blob, None, digest)
        with self._lock:
            turn = self._unpacking.setdefault(diff_id, threading.Lock())
        with turn:
            if self.pin_existing(diff_id):
                return diff_id
            return self._unpack(blob, diff_id, digest)

    def _unpack(self, blob: Blob, diff_id: str | None, digest: str | None) -> str:
        staging = f"{self._directory}/{STAGING}{os.urandom(8).hex()}"
        os.mkdir(staging, 0o700)
        try:
            os.mkdir(f"{staging}/tree", 0o755)
            reach("image.staged")
            with self._room:
                done = unpack_blob(blob, f"{staging}/tree", self.limits)
            if digest is not None and done.digest != digest:
                raise DigestMismatch("a layer", digest, done.digest)
            if diff_id is not None and done.diff_id != diff_id:
                raise DigestMismatch("an unpacked layer", diff_id, done.diff_id)
            reach("image.unpacked")
            self._keep(staging, done)
        finally:
            try_remove_tree(staging)
        return done.diff_id

    def _keep(self, staging: str, done: Unpacked) -> None:
        with records.opened_directory(staging) as fd:
            records.create_record(fd, META, asdict(done))
            os.fsync(fd)
        with self._lock:
            self._pins[done.diff_id] += 1
            # Somebody else may have unpacked the same at the same time: theirs is as good.
            if not self.has(done.diff_id):
                os.rename(staging, self._home(done.diff_id))
        _sync_directory(self._directory)
        reach("image.kept")

    def verify(self, diff_id: str) -> None:
        """Read every file of the layer again; DigestMismatch where one is not what was unpacked."""
        recorded = self.meta(diff_id)
        if not recorded:
            raise BadImage(f"the layer {diff_id} is not here, or its record is gone; import the image again")
        found = digest_of_tree(self.path(diff_id))
        if found != recorded["tree"]:
            raise DigestMismatch(f"the unpacked layer {diff_id}", recorded["tree"], found)

    def pin_existing(self, diff_id: str) -> bool:
        """Pin a layer if it is here."""
        with self._lock:
            if not self.has(diff_id):
                return False
            self._pins[diff_id] += 1
            return True

    def pin(self, diff_ids: Iterable[str]) -> None:
        """Keep these from being collected, though nothing names them yet."""
        with self._lock:
            self._pins.update(diff_ids)

    def unpin(self, diff_ids: Iterable[str]) -> None:
        """Take back as many pins."""
        with self._lock:
            self._pins -= Counter(diff_ids)

    def collect(self, used: Collection[str]) -> list[str]:
        """Remove what is neither used nor pinned; the diff ids that went."""
        gone = []
        for diff_id in sorted(self.all().difference(used)):
            with self._lock:
                if self._pins[diff_id]:
                    continue
                aside = f"{self._directory}/{REMOVED}{os.urandom(8).hex()}"
                os.rename(self._home(diff_id), aside)
            reach("image.aside")
            # Whatever keeps it, such as a mount, is tried again at the next start.
            try_remove_tree(aside)
            gone.append(diff_id)
        if gone:
            _sync_directory(self._directory)
        return gone

    def settle(self) -> None:
        """Wait until what a crash left is gone."""
        self._sweeper.join()

    def _sweep(self, names: Iterable[str]) -> None:
        for name in names:
            try_remove_tree(f"{self._directory}/{name}")

    def _home(self, diff_id: str) -> str:
        if not DIGEST.fullmatch(diff_id):
            raise BadImage(f"{diff_id[:80]!r} is no diff id")
        return f"{self._directory}/{diff_id.removeprefix('sha256:')}"


def _sync_directory(path: str) -> None:
    with records.opened_directory(path) as fd:
        os.fsync(fd)
