"""`demo`: see everything at work in a minute, on this machine, and leave nothing behind."""

from __future__ import annotations

from cgwarden.cli.options import Args, Option, UsageError, Verb
from cgwarden.units import parse_duration

_LEAST_SEC = 5.0


def _demo(args: Args) -> int:
    duration = args.get("for")
    if duration is not None and duration < _LEAST_SEC:
        raise UsageError(f"{args.given['for']}: policies need time to act; give at least 5s, better 30s")
    from cgwarden.demo.demo import run_demo

    return run_demo(
        for_sec=duration, report_path=args.get("report"), listen=args.get("listen", "127.0.0.1:0")
    )


VERBS = {
    "demo": Verb(
        "demo [--for TIME] [--report FILE]",
        "Start a daemon with a service, a CPU hog, a memory leaker and a disk writer, and let policies act.",
        _demo,
        options=(
            Option("--for", value="TIME", read=parse_duration, help="end by itself after this long (30s)"),
            Option("--report", value="FILE", help="write what was measured and done as JSON"),
            Option(
                "--listen", value="ADDR:PORT", help="where the dashboard is served (a free port of 127.0.0.1)"
            ),
        ),
        more="Needs root. Ctrl-C ends it and cleans up. What a killed demo left, the next removes.\n"
        "With --for: exit code 0 only where policies changed limits, read back from the kernel.",
    ),
}
