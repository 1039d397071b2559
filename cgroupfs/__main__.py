"""`python -m cgroupfs [PATH]`: one cgroup, or the hierarchies, as this layer sees them without the daemon."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator

from cgroupfs.errors import CgroupError, CgroupGone, NoCgroups
from cgroupfs.hierarchies import Hierarchies

EXIT_FAILED, EXIT_NONE_SUCH, EXIT_NO_CGROUPS = 1, 3, 78


def main(arguments: list[str] | None = None) -> int:
    """Print one cgroup, 3 if there is none of that path; without a path what each hierarchy offers."""
    parser = argparse.ArgumentParser(
        prog="python -m cgroupfs", description="Show all that is known of one cgroup, or of the hierarchies."
    )
    parser.add_argument(
        "path", metavar="PATH", nargs="?", help="path below the mounts, such as /cgwarden/web"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    try:
        hierarchies = Hierarchies.read()
        document = hierarchies.cgroup(options.path).read_all() if options.path else _describe(hierarchies)
    except CgroupError as e:
        sys.stderr.write(f"{e}\n")
        codes = {CgroupGone: EXIT_NONE_SUCH, NoCgroups: EXIT_NO_CGROUPS}
        return codes.get(type(e), EXIT_FAILED)
    text = json.dumps(document, indent=2) if options.json else "\n".join(_table(document))
    sys.stdout.write(text + "\n")
    return 0


def _describe(hierarchies: Hierarchies) -> dict[str, object]:
    """Controller -> its report."""
    reports = [dataclasses.asdict(report) for report in hierarchies.report()]
    # As JSON has it, and as the table shows it: lists.
    return {report.pop("controller"): json.loads(json.dumps(report)) for report in reports}


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
    elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _rows(item, f"{prefix}.{number}")
    elif isinstance(value, list | tuple | dict):
        yield prefix, ", ".join(map(str, value)) or "-"
    else:
        yield prefix, "not offered" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
