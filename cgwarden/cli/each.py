"""Does one thing to several containers: every name gets its turn, and one answer comes out."""

from __future__ import annotations

from cgwarden.cli import failures
from cgwarden.cli.invoke import fail
from cgwarden.cli.names import check_name
from cgwarden.cli.terminal import print_json
from cgwarden.client import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def for_each(
    names: Sequence[str],
    act: Callable[[str], Any],
    *,
    as_json: bool,
    say: Callable[[str, Any], str] | None = None,
    check: Callable[[str], object] = check_name,
) -> int:
    """Call `act` for each name and print the names (or `say`'s line), or with --json what `act` returned.

    One name fails with its own exit code; of several names any failure is 1. All names are checked before
    the first is touched. A missing daemon ends it at once.
    """
    for name in names:
        check(name)
    results, codes = [], []
    for name in names:
        try:
            result = act(name)
        except (Problem, TimeoutError) as error:
            codes.append(fail(error))
            continue
        results.append(result)
        if not as_json:
            print(say(name, result) if say else name)
    if as_json and (results or len(names) > 1):
        print_json(results[0] if len(names) == 1 else results)
    if not codes:
        return failures.DONE
    return codes[0] if len(names) == 1 else failures.FAILED
