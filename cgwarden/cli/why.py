"""`why`: explain each action on a container, or one decision: inputs, rule, before, after, verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from cgwarden.cli.limit import show_value
from cgwarden.cli.names import check_name, container_path
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.terminal import harmless, paint, print_json
from cgwarden.client import Daemon, Problem
from cgwarden.units import parse_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_MARGIN = 19
_COLOURS = {
    "applied": "green",
    "failed": "red",
    "refused": "yellow",
    "overruled": "yellow",
    "near_miss": "dim",
    "observed": "dim",
    "rejected": "yellow",
    "deferred": "yellow",
}
_NOT_DONE = ("rejected", "deferred", "refused", "observed", "overruled", "near_miss")


def _why(args: Args) -> int:
    daemon, subject = Daemon(), check_name(args.words[0])
    if _looks_like_decision(subject):
        try:
            decisions = [daemon.get(f"/api/v1/decisions/{subject}")]
        except Problem as problem:
            if problem.status != 404:
                raise
        else:
            return _print(decisions, [], args)
    limits = _held_limits(daemon, subject)
    return _print(_read_decisions(daemon, subject, args), limits, args)


def _looks_like_decision(text: str) -> bool:
    return text.startswith("d-") and text[2:].isdigit()


def _read_decisions(daemon: Daemon, name: str, args: Args) -> list[dict[str, Any]]:
    page = daemon.get("/api/v1/decisions", container=name, limit=args.get("tail", 20))
    decisions: list[dict[str, Any]] = page["decisions"]
    return decisions


def _held_limits(daemon: Daemon, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The limits that somebody set; a container that is gone has none, but still has a history."""
    try:
        fields = daemon.get(container_path(name, "limits"))["fields"]
    except Problem as problem:
        if problem.slug not in ("unknown-container", "not-running", "gone"):
            raise
        if not daemon.get("/api/v1/decisions", container=name, limit=1)["decisions"]:
            raise
        return []
    return [
        (field, entry)
        for field, entry in fields.items()
        if entry.get("owner") not in (None, "kernel", "spec")
    ]


def _print(decisions: list[dict[str, Any]], limits: list[tuple[str, Mapping[str, Any]]], args: Args) -> int:
    if args.on("json"):
        print_json(decisions)
        return 0
    for field, entry in limits:
        print(_limit_line(field, entry))
    for decision in sorted(decisions, key=lambda one: one.get("seq") or 0):
        if _is_told_by_the_next(decision):
            continue
        print("\n".join(harmless_lines(describe(decision))))
    if not decisions and not limits:
        print(f"{args.words[0]}: nothing has acted on it")
    return 0


def _is_told_by_the_next(decision: Mapping[str, Any]) -> bool:
    """The intent of a container's own limits: the record of what came of it says the same and more."""
    return decision.get("outcome") == "committed" and decision.get("owner") == "spec"


def harmless_lines(lines: Iterator[str]) -> Iterator[str]:
    """Lines whose text came from containers and files, safe to print; our own colours survive."""
    for line in lines:
        yield "\x1b".join(harmless(part) for part in line.split("\x1b"))


def _limit_line(field: str, entry: Mapping[str, Any]) -> str:
    until = f"  until {entry['expires_at']}" if entry.get("expires_at") else ""
    until = f"  {entry['waiting']}" if entry.get("waiting") else until
    baseline = show_value(field, entry.get("baseline"))
    return (
        f"{field} {show_value(field, entry['value'])}  owner {entry['owner']}{until}  (baseline {baseline})"
    )


def describe(decision: Mapping[str, Any]) -> Iterator[str]:
    """A decision record (wire form) as a few lines; whatever the record lacks is left out."""
    clock = str(decision.get("at", ""))[11:19]
    outcome = str(decision.get("outcome", ""))
    shown = paint(f"{outcome:10}", _COLOURS.get(outcome, ""))
    yield f"{clock} {shown} {decision.get('reason') or decision.get('verb', '')}"
    policy = decision.get("policy") or {}
    origin = (
        f"policy {policy['name']} ({policy.get('mode', '?')})"
        if policy.get("name")
        else decision.get("owner")
    )
    yield _more("by", f"{origin}  {paint(str(decision.get('id', '')), 'dim')}")
    if decision.get("field"):
        yield _more("wanted" if outcome in _NOT_DONE else "change", _change(decision))
    if decision.get("formula"):
        yield _more("formula", str(decision["formula"]))
    for item in decision.get("inputs") or ():
        yield _more("input", _input(item))
    for write in decision.get("writes") or ():
        yield _more("wrote", _write(write))
    if rails := _rails(decision):
        yield _more("rails", rails)
    for candidate in decision.get("candidates") or ():
        if candidate.get("rejected"):
            yield _more("skipped", f"{candidate['name']}: {candidate['rejected']}")
    if decision.get("overruled_by"):
        yield _more("overruled", f"by {decision['overruled_by']}")
    if decision.get("error"):
        yield _more("error", str(decision["error"]))
    if decision.get("unrecorded"):
        yield _more("more", f"{decision['unrecorded']} rejections before it left no record")
    if decision.get("verdict") not in (None, "pending"):
        yield _more("verdict", str(decision["verdict"]))
    if decision.get("lease_until"):
        yield _more("lease", _lease(str(decision["lease_until"])))


def _more(word: str, text: str) -> str:
    return f"{'':9}{word:10} {text}"


def _change(decision: Mapping[str, Any]) -> str:
    field, before, wanted = str(decision["field"]), decision.get("before"), decision.get("wanted")
    if isinstance(wanted, dict) and field != "io_max":
        return ", ".join(f"{name} {show_value(name, value)}" for name, value in wanted.items())
    return f"{field} {show_value(field, before)} -> {show_value(field, wanted)}"


def _lease(until: str) -> str:
    """What comes at the end of a lease; how a past one ended is told by a later record."""
    if datetime.fromisoformat(until) <= datetime.now(UTC):
        return f"was given until {until}"
    return f"until {until}, then the next value or the baseline comes back"


def _input(item: Mapping[str, Any]) -> str:
    threshold = item.get("threshold")
    compared = f"  against {_quantity(threshold, item)}" if threshold is not None else ""
    return f"{item.get('signal')} of {item.get('of')}: {_quantity(item.get('value'), item)}{compared}"


def _quantity(value: object, item: Mapping[str, Any]) -> str:
    if value is None:
        return "unknown"
    if not isinstance(value, int | float):
        return str(value)
    if item.get("unit") == "ratio":
        return f"{value * 100:.1f} %"
    if item.get("unit") == "bytes":
        return show_value("_bytes", int(value))
    return f"{value:g} {item.get('unit') or ''}".rstrip()


def _write(write: Mapping[str, Any]) -> str:
    wanted = write.get("wanted", write.get("value"))
    read_back = write.get("readback", write.get("read_back"))
    end = "read back the same" if read_back == wanted else f"read back {read_back}"
    return f"{write.get('file')}: {write.get('before')} -> {wanted}, {end}"


def _rails(decision: Mapping[str, Any]) -> str:
    rails = decision.get("rails") or ()
    passed = [rail["rail"] for rail in rails if rail.get("result") == "pass"]
    others = [
        f"{rail['rail']} {rail['result']}: {rail.get('detail', '')}".rstrip(": ")
        for rail in rails
        if rail.get("result") != "pass"
    ]
    return "; ".join([*([", ".join(passed) + " passed"] if passed else []), *others])


VERBS = {
    "why": Verb(
        "why [--json] NAME|DECISION",
        "Explain what was done to a container and why: inputs, threshold, before, after, near misses.",
        _why,
        options=(
            Option(
                "-n",
                "--tail",
                value="N",
                read=lambda text: parse_count(text, 1, 1000),
                help="the last N (20)",
            ),
            JSON,
        ),
        words=(1, 1),
    ),
}
