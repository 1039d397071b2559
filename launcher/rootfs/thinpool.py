"""The thin pool of one daemon: two loop files or given devices, and the thin devices in it, by number.

    STATE_DIR/devmapper/data  meta   sparse files; links to block devices are taken as those devices
                        thin.json which number is whose: written before a device is made, so that a crash
                                     leaves nothing that nobody knows of

The pool is active while one of its devices is, and goes with the last.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from typing import Any, Final

from launcher.failpoints import reach
from launcher.rootfs import devices, dm, loop
from launcher.rootfs.driver import DriverUnavailable

DATA_BYTES: Final = 100 << 30
META_BYTES: Final = 128 << 20
FULL_FRACTION: Final = 0.9
"""Above this no new container is made: in a pool that is full, every write fails."""
_BLOCK_SECTORS: Final = 128  # 64 KiB, the smallest: a changed byte costs one
_LARGEST_NUMBER: Final = (1 << 24) - 1


class ThinPool:
    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._prefix = f"cgw-{hashlib.sha256(directory.encode(errors='surrogateescape')).hexdigest()[:8]}"
        self.name = f"{self._prefix}-pool"

    def device(self, who: str) -> str:
        """The device mapper's name of one thin device."""
        return f"{self._prefix}-{who}"

    def bring_up(self) -> None:
        """Active afterwards; made where it has never been."""
        if dm.is_active(self.name):
            return
        os.makedirs(self._directory, 0o700, exist_ok=True)
        with contextlib.ExitStack() as held:
            numbers, sizes = [], []
            for part, size_bytes in (("meta", META_BYTES), ("data", DATA_BYTES)):
                fd = self._open_part(f"{self._directory}/{part}", size_bytes)
                held.callback(os.close, fd)
                rdev = os.fstat(fd).st_rdev
                numbers.append(f"{os.major(rdev)}:{os.minor(rdev)}")
                sizes.append(os.lseek(fd, 0, os.SEEK_END) // dm.SECTOR)
            # Without error_if_no_space a full pool holds every writer for a minute first.
            table = f"{' '.join(numbers)} {_BLOCK_SECTORS} 0 1 error_if_no_space"
            dm.activate(self.name, sizes[1], "thin-pool", table)

    def _open_part(self, path: str, size_bytes: int) -> int:
        """A loop device, which ends with the pool, or the block device that was given."""
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISBLK(os.stat(path).st_mode):
                return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if not os.path.exists(path):
            with open(f"{path}.new", "wb") as file:
                file.truncate(size_bytes)
            os.rename(f"{path}.new", path)
        return loop.attach(path)

    def take_down(self) -> None:
        """If none of its devices is active."""
        ours = [name for name, _ in devices.read_names() if name.startswith(f"{self._prefix}-")]
        if ours == [self.name]:
            dm.deactivate(self.name)

    def refuse_when_full(self) -> None:
        """DriverUnavailable with the figures, before a write has to fail."""
        data, meta = parse_pool_status(dm.read_status(self.name))
        for what, used in (("data", data), ("metadata", meta)):
            if used >= FULL_FRACTION:
                why = f"its pool's {what} is {used:.0%} full: remove containers, or enlarge {self._directory}"
                raise DriverUnavailable("devmapper", why)

    def read_table(self) -> dict[str, Any]:
        """{"who": {"id", "sectors", …}} of every thin device."""
        try:
            with open(f"{self._directory}/thin.json") as file:
                table: dict[str, Any] = json.load(file)
                return table
        except FileNotFoundError:
            return {}

    def write_table(self, table: dict[str, Any]) -> None:
        """Durable: it must know of a device before the pool does."""
        path = f"{self._directory}/thin.json"
        with open(f"{path}.new", "w") as file:
            json.dump(table, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{path}.new", path)

    def make(self, who: str, sectors: int, origin: str | None = None, **facts: object) -> None:
        """A thin device, empty or a snapshot of an inactive `origin`; recorded first."""
        table = self.read_table()
        taken = {entry["id"] for entry in table.values()}
        number = next(number for number in range(1, _LARGEST_NUMBER) if number not in taken)
        table[who] = {"id": number, "sectors": sectors, **facts}
        self.write_table(table)
        reach("root.noted")
        origin_id = None if origin is None else table[origin]["id"]
        order = f"create_thin {number}" if origin_id is None else f"create_snap {number} {origin_id}"
        dm.send(self.name, order)

    def set_facts(self, who: str, **facts: object) -> None:
        table = self.read_table()
        table[who] |= facts
        self.write_table(table)

    def activate(self, who: str) -> str:
        """Its node."""
        entry = self.read_table()[who]
        pool = os.stat(devices.node_of(self.name)).st_rdev
        parameters = f"{os.major(pool)}:{os.minor(pool)} {entry['id']}"
        dm.activate(self.device(who), entry["sectors"], "thin", parameters)
        return devices.node_of(self.device(who))

    def deactivate(self, who: str) -> None:
        dm.deactivate(self.device(who))

    def delete(self, who: str) -> None:
        """The device, its blocks, its entry; nothing there is fine."""
        table = self.read_table()
        if who not in table:
            return
        self.deactivate(who)
        self.bring_up()
        try:
            dm.send(self.name, f"delete {table[who]['id']}")
        except OSError as e:
            if e.errno != errno.ENODATA:  # recorded, and never made
                raise
        reach("root.unmade")
        del table[who]
        self.write_table(table)


def parse_pool_status(text: str) -> tuple[float, float]:
    """(data, metadata) as fractions in use, from `transaction used/total used/total …`, data second.

    Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Status". `Fail`: all of both.
    """
    field = text.split()
    if len(field) < 3 or "/" not in field[1] or "/" not in field[2]:
        return 1.0, 1.0
    (meta, metas), (data, datas) = (map(int, part.split("/")) for part in field[1:3])
    return data / datas, meta / metas
