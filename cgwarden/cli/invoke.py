"""Runs one verb, and turns every way it can end into an exit code and at most one line."""

from __future__ import annotations

import os
import sys

from cgwarden.cli import failures
from cgwarden.cli.options import UsageError
from cgwarden.client import DEFAULT_HOST, BadAddress, NoDaemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cgwarden.cli.options import Verb


def invoke(verb: Verb, argv: list[str]) -> int:
    """Parse `argv`, act, and return the exit code."""
    try:
        args = verb.parse(argv)
        if args.on("help"):
            from cgwarden.cli.terminal import bold

            print(verb.help(bold))
            return failures.DONE
        verb.check_words(args)
        code = verb.action(args)
        sys.stdout.flush()
        return code
    except (UsageError, BadAddress, NoDaemon, Problem, TimeoutError, PermissionError) as error:
        return fail(error)
    except BrokenPipeError:
        # The reader (head, less) went away: say nothing, and keep the interpreter from flushing once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130


def fail(error: BaseException) -> int:
    """Say in one line why, on stderr, and return the exit code for it."""
    host = os.environ.get("CGWARDEN_HOST") or DEFAULT_HOST
    print(f"cgwarden: {failures.one_line(error, host)}", file=sys.stderr)
    return failures.exit_code(error)
