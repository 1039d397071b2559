"""/metrics: what promtool says of it, what the numbers mean, and how often it is made."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from monitor import Tombstone
from tests.web.rig import Rig
from web import Health

CADVISOR = ("container_", "machine_")


def promtool() -> str:
    beside = Path(__file__).parents[2] / ".cache" / "bin" / "promtool"
    found = str(beside) if beside.exists() else shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: make setup, or apt-get install prometheus")
    return found


def text(rig: Rig) -> str:
    return rig.get("/metrics").body.decode()


def samples(page: str, family: str) -> dict[str, str]:
    """The label strings and values of one family."""
    return dict(re.findall(rf"^{family}(?:\{{(.*)\}})? (\S+)$", page, re.MULTILINE))


@pytest.fixture
def busy(rig: Rig) -> Rig:
    rig.launcher.add("plain")
    limits = {"memory_max_bytes": 67108864, "cpu_max_cores": 0.5, "cpu_period_usec": 100000, "pids_max": 50}
    rig.launcher.add("web", limits=limits)
    rig.launcher.cgroups["web"].frozen = True
    for kind, name in (("operator", "root"), ("policy", "headroom")):
        rig.events.append("limit.change", container={"name": "web"}, actor_kind=kind, actor_name=name)
    rig.monitor.sweep()
    return rig


@pytest.mark.parametrize("cadvisor_names", [True, False])
def test_promtool_finds_no_error_and_lint_in_cadvisors_own_names_alone(
    busy: Rig, cadvisor_names: bool
) -> None:
    busy.app.state.metrics._cadvisor_names = cadvisor_names
    busy.decided = {("headroom", "applied"): 3}
    page = busy.get("/metrics").body

    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False)

    lint = done.stderr.decode().splitlines() + done.stdout.decode().splitlines()
    assert done.returncode in (0, 3), lint  # 1 is a parse error, 3 is lint
    assert [line for line in lint if not line.startswith(CADVISOR)] == []


def test_labels_that_dashboards_filter_by_are_never_empty(busy: Rig) -> None:
    series = re.findall(r"^container_\w+\{(.*)\} ", text(busy), re.MULTILINE)

    assert series
    for labels in series:
        assert re.match(r'id="/cgwarden/\w+",image="/srv/root",name="\w+"', labels)


def test_counters_come_in_base_units_as_cadvisor_has_them(busy: Rig) -> None:
    page = text(busy)
    web = 'id="/cgwarden/web",image="/srv/root",name="web"'

    assert samples(page, "container_cpu_usage_seconds_total")[f'{web},cpu="total"'] == "2.5"
    assert samples(page, "container_memory_working_set_bytes")[web] == "19000000"
    assert samples(page, "container_pressure_memory_waiting_seconds_total")[web] == "1.5"
    assert samples(page, "container_oom_events_total")[web] == "1"
    assert samples(page, "container_spec_cpu_quota") == {web: "50000"}
    assert samples(page, "container_spec_memory_limit_bytes")[web] == "67108864"
    received = samples(page, "container_network_receive_bytes_total")
    assert received[f'{web},interface="eth0"'] == "10"
    assert not [labels for labels in received if '"lo"' in labels]


def test_unlimited_is_cadvisors_zero_under_its_name_and_infinity_under_ours(busy: Rig) -> None:
    page = text(busy)

    assert (
        samples(page, "container_spec_memory_limit_bytes")[
            'id="/cgwarden/plain",image="/srv/root",name="plain"'
        ]
        == "0"
    )
    limits = samples(page, "cgwarden_container_limit")
    assert limits['container="plain",resource="memory_max_bytes",source="kernel"'] == "+Inf"
    assert limits['container="web",resource="memory_max_bytes",source="spec"'] == "67108864"


def test_what_the_kernel_does_not_tell_is_absent(busy: Rig) -> None:
    page = text(busy)

    for absent in ("container_pressure_io", "container_memory_kernel_usage", "container_cpu_load"):
        assert absent not in page
    assert "NaN" not in page
    assert "None" not in page


def test_state_and_freezer_are_told_per_container(busy: Rig) -> None:
    page = text(busy)

    states = samples(page, "cgwarden_container_state")
    assert states['container="web",state="frozen"'] == "1"
    assert states['container="web",state="running"'] == "0"
    assert states['container="plain",state="running"'] == "1"
    assert samples(page, "cgwarden_container_frozen") == {'container="plain"': "0", 'container="web"': "1"}


def test_faults_of_the_daemon_and_decisions_by_outcome_are_told(busy: Rig) -> None:
    busy.health = Health(journal_writable=False, policy_errors=2)
    busy.decided = {("headroom", "applied"): 3, ("headroom", "refused"): 1}
    page = text(busy)

    assert samples(page, "cgwarden_journal_writable") == {"": "0"}
    assert samples(page, "cgwarden_policy_errors") == {"": "2"}
    assert samples(page, "cgwarden_decisions_total") == {
        'outcome="applied",policy="headroom"': "3",
        'outcome="refused",policy="headroom"': "1",
    }


def test_what_the_daemon_did_and_cost_is_counted(busy: Rig) -> None:
    busy.get("/api/v1/nothing")
    busy.monitor.sweep()
    page = text(busy)

    assert samples(page, "cgwarden_limit_changes_total") == {'actor="operator"': "1", 'actor="policy"': "1"}
    assert samples(page, "cgwarden_policy_actions_total") == {'action="limit.change",policy="headroom"': "1"}
    assert samples(page, "cgwarden_http_requests_total")['code="404",method="GET"'] == "1"
    assert samples(page, "cgwarden_sweeps_total") == {"": "3"}
    assert samples(page, "cgwarden_read_errors_total") == {'reason="gone"': "2"}
    assert float(samples(page, "process_resident_memory_bytes")[""]) > 1e6


def test_oom_kills_outlive_the_container_for_a_while(busy: Rig) -> None:
    text(busy)
    seen = busy.monitor.sweep().containers["web"]
    busy.launcher.remove("web", force=True)
    busy.monitor.tombs["web"] = Tombstone(seen, 0.0)
    busy.monitor.sweep()
    page = text(busy)

    assert samples(page, "cgwarden_container_oom_kills_total")['container="web"'] == "1"
    assert 'name="web"' in "".join(samples(page, "container_oom_events_total"))
    assert 'name="web"' not in "".join(samples(page, "container_memory_rss"))


def test_hostile_labels_are_escaped(rig: Rig) -> None:
    rig.launcher.add("web", image='a"b\\c\nd')
    rig.monitor.sweep()

    assert r'image="a\"b\\c\nd",name="web"' in text(rig)


def test_the_page_is_made_once_a_sweep_and_compressed_when_asked(busy: Rig) -> None:
    first = busy.get("/metrics").body
    busy.launcher.add("late")

    packed = busy.get("/metrics", headers={"Accept-Encoding": "gzip"})

    assert gzip.decompress(packed.body) == first
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"].startswith("text/plain; version=0.0.4")
    busy.monitor.sweep()
    assert 'name="late"' in text(busy)


def test_before_the_first_sweep_only_the_daemon_is_told_of(rig: Rig) -> None:
    page = text(rig)

    assert "cgwarden_build_info" in page
    assert "container_" not in page.replace("cgwarden_container", "")


def test_no_sample_carries_a_timestamp_and_each_family_stands_together(busy: Rig) -> None:
    page = text(busy)

    names = [re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")]
    runs = [name for position, name in enumerate(names) if position == 0 or names[position - 1] != name]
    assert len(runs) == len(set(runs))
    assert not re.search(r"^\w+(\{.*\})? \S+ \d+$", page, re.MULTILINE)
