"""The daemon's own families of /metrics: what it costs, what it did, and who asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from monitor import Snapshot, Totals
from web.exposition import Page, label_text
from web.parts import Services


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted between sweeps: events by (type, actor, policy), answers by (method, status)."""

    events: Mapping[tuple[str, str, str], int]
    last_event_id: int
    answers: Mapping[tuple[str, int], int]
    streams: int


def write_daemon(page: Page, services: Services, snapshot: Snapshot | None, counts: Counts) -> None:
    """All of the daemon's own families."""
    version = label_text(version=str(services.info.get("version", "")))
    page.gauge("cgwarden_build_info", "Which cgwarden this is.", 1, version)
    _write_sweeps(page, services.monitor.totals(), snapshot)
    _write_events(page, counts)
    _write_health(page, services)
    page.gauge(
        "cgwarden_history_bytes", "Memory that the history takes.", services.monitor.history.memory_bytes
    )
    page.gauge("cgwarden_sse_clients", "Clients that follow a stream.", counts.streams)
    page.family(
        "cgwarden_http_requests_total",
        "counter",
        "Requests answered.",
        [(f'code="{status}",method="{method}"', n) for (method, status), n in sorted(counts.answers.items())],
    )
    _write_process(page)


def _write_sweeps(page: Page, totals: Totals, snapshot: Snapshot | None) -> None:
    page.counter("cgwarden_sweeps_total", "Sweeps done.", totals.sweeps)
    page.counter("cgwarden_sweeps_missed_total", "Sweeps that should have been and were not.", totals.missed)
    page.counter("cgwarden_sweep_cpu_seconds_total", "CPU time of all sweeps.", totals.cpu_sec)
    page.counter("cgwarden_sweep_duration_seconds_total", "Time that all sweeps took.", totals.wall_sec)
    page.family(
        "cgwarden_read_errors_total",
        "counter",
        "Containers that could not be read in a sweep.",
        [(label_text(reason=reason), count) for reason, count in sorted(totals.errors.items())],
    )
    if snapshot is not None:
        page.gauge("cgwarden_sweep_seconds", "How long the last sweep took.", snapshot.cost.wall_sec)
        page.gauge("cgwarden_open_files", "Cgroup files kept open between sweeps.", snapshot.cost.open_files)
        page.gauge("cgwarden_containers", "Containers in the last sweep.", len(snapshot.containers))


def _write_events(page: Page, counts: Counts) -> None:
    page.family("cgwarden_events_total", "counter", "Events by type and actor.", _events(counts))
    page.family("cgwarden_limit_changes_total", "counter", "Limits changed, by actor.", _changes(counts))
    page.family("cgwarden_policy_actions_total", "counter", "What policies did.", _actions(counts))
    page.gauge("cgwarden_event_id", "Id of the newest event.", counts.last_event_id or None)


def _write_health(page: Page, services: Services) -> None:
    health = services.health()
    writable = int(health.journal_writable)
    page.gauge("cgwarden_journal_writable", "1 while the journal takes what is written.", writable)
    page.gauge(
        "cgwarden_policy_errors", "Mistakes in policy files, which are set aside.", health.policy_errors
    )
    decided = sorted(services.decided().items())
    page.family(
        "cgwarden_decisions_total",
        "counter",
        "Decisions of policies, by what became of them.",
        [(label_text(outcome=outcome, policy=policy), count) for (policy, outcome), count in decided],
    )


def _events(counts: Counts) -> Iterator[tuple[str, int]]:
    totals: dict[tuple[str, str], int] = {}
    for (kind, actor, _), count in counts.events.items():
        totals[kind, actor] = totals.get((kind, actor), 0) + count
    for (kind, actor), count in sorted(totals.items()):
        yield label_text(actor=actor, type=kind), count


def _changes(counts: Counts) -> Iterator[tuple[str, int]]:
    for labels, count in _events(counts):
        actor, _, kind = labels.partition(",")
        if kind == 'type="limit.change"':
            yield actor, count


def _actions(counts: Counts) -> Iterator[tuple[str, int]]:
    for (kind, actor, policy), count in sorted(counts.events.items()):
        if actor == "policy":
            yield label_text(action=kind, policy=policy), count


def _write_process(page: Page) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    page.append(generate_latest(registry).decode("utf-8"))
