"""Was the host booted since a daemon last looked? Containers that are always to run are started then."""

from __future__ import annotations

from typing import Final

from launcher import records

BOOT: Final = "boot.json"


def is_first_start_since_boot(state_dir: str, boot_id: str) -> bool:
    """False where no daemon has run here before: there is nothing to start then."""
    last = records.read_record(state_dir, BOOT)
    return last is not None and last.get("boot_id") != boot_id


def remember_boot(state_dir: str, boot_id: str) -> None:
    """Once all that the boot means is on record; no write where nothing is new."""
    if (records.read_record(state_dir, BOOT) or {}).get("boot_id") != boot_id:
        with records.opened_directory(state_dir) as fd:
            records.write_record(fd, BOOT, {"boot_id": boot_id})
