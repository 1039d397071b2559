"""`python -m cgroupfs PATH`: one cgroup as this layer sees it, for a look without the daemon."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from cgroupfs.errors import CgroupError, CgroupGone, NoCgroups
from cgroupfs.hierarchies import Hierarchies

EXIT_FAILED, EXIT_NONE_SUCH, EXIT_NO_CGROUPS = 1, 3, 78


def main(arguments: list[str] | None = None) -> int:
    """Print one cgroup; 3 if there is none of that path."""
    parser = argparse.ArgumentParser(
        prog="python -m cgroupfs", description="Show all that is known of one cgroup."
    )
    parser.add_argument("path", metavar="PATH", help="path below the mounts, such as /cgwarden/web")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    try:
        document = Hierarchies.read().cgroup(options.path).read_all()
    except CgroupError as e:
        sys.stderr.write(f"{e}\n")
        codes = {CgroupGone: EXIT_NONE_SUCH, NoCgroups: EXIT_NO_CGROUPS}
        return codes.get(type(e), EXIT_FAILED)
    text = json.dumps(document, indent=2) if options.json else "\n".join(_table(document))
    sys.stdout.write(text + "\n")
    return 0


def _table(document: dict[str, object]) -> Iterator[str]:
    for area, value in document.items():
        rows = list(_rows(value))
        if len(rows) == 1 and not rows[0][0]:
            yield f"{area:<10} {rows[0][1]}"
            continue
        yield area
        width = max((len(name) for name, _ in rows), default=0)
        for name, shown in rows:
            yield f"  {name:<{width}}  {shown}"


def _rows(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _rows(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _rows(item, f"{prefix}.{number}")
    elif isinstance(value, list | dict):
        yield prefix, ", ".join(map(str, value)) or "-"
    else:
        yield prefix, "not offered" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
