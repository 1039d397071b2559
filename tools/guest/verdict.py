"""What the tests in the guest came to: by pytest's own record, since an exit status hides skips."""

import xml.etree.ElementTree as ElementTree
from typing import Final

from tools.guest.boot import RESULTS, GuestFailed

_SHOWN: Final = 3


def read_verdict(status: int, *, skips_fail: bool) -> str:
    """``74 passed``; `GuestFailed` naming those that failed or were skipped, or if there was none."""
    try:
        suite = ElementTree.parse(RESULTS / "junit.xml").getroot().find("testsuite")
    except (FileNotFoundError, ElementTree.ParseError) as e:
        raise GuestFailed(f"pytest ended with status {status} and no record, see {_log()}") from e
    cases = [] if suite is None else suite.findall("testcase")
    failed = [
        _name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [_name(case) for case in cases if case.find("skipped") is not None]
    if failed:
        raise GuestFailed(f"{len(failed)} of {len(cases)} tests failed: {_listed(failed)}, see {_log()}")
    if skipped and skips_fail:
        raise GuestFailed(f"{len(skipped)} tests were skipped: {_listed(skipped)}, see {_log()}")
    if status != 0 or not cases:
        raise GuestFailed(f"pytest ended with status {status} after {len(cases)} tests, see {_log()}")
    return f"{len(cases) - len(skipped)} passed" + (f", {len(skipped)} skipped" if skipped else "")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _name(case: "ElementTree.Element[str]") -> str:
    return case.get("name", "?")


def _log() -> str:
    return ".cache/guest/results/log"
