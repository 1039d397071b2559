"""The rendered objects are what Kubernetes accepts and what the daemon understands."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cgwarden.config import read_config
from tests.charts.conftest import CHART, VALUES, Render

VERSIONS = ("1.31", "1.37")
CUSTOM = {"ServiceMonitor"}
every_values_file = pytest.mark.parametrize(
    "values", [None, *VALUES], ids=lambda v: v.stem if v else "defaults"
)


@every_values_file
@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_every_object(render: Render, values: Path | None, version: str) -> None:
    for found in render(values=values).objects:
        if found["kind"] not in CUSTOM:
            kubernetes_validate.validate(found, version, strict=True)


@every_values_file
def test_helm_lint_has_nothing_to_say(helm: str, values: Path | None) -> None:
    options = [] if values is None else ["--values", str(values)]

    done = subprocess.run(
        [helm, "lint", "--strict", CHART, *options], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@every_values_file
def test_the_daemon_understands_the_configuration(
    render: Render, values: Path | None, tmp_path: Path
) -> None:
    file = tmp_path / "cgwarden.toml"
    file.write_text(render(values=values)["ConfigMap"]["data"]["cgwarden.toml"])
    environment = {one["name"]: one.get("value", "") for one in render(values=values).container["env"]}

    config = read_config(str(file), {}, {name: environment[name] for name in environment if name != "POD_IP"})

    assert config.state_dir == "/var/lib/cgwarden"
    assert "$(POD_IP)" in config.allowed_hosts, "kubelet puts the pod's address there"


def test_the_configuration_carries_the_values(render: Render) -> None:
    settings = ("config.cgroupParent=tenants", "config.interval=2s", "web.port=1234")
    text = render(*settings)["ConfigMap"]["data"]["cgwarden.toml"]

    read = tomllib.loads(text)

    assert read["daemon"]["cgroup_parent"] == "tenants"
    assert read["monitor"]["interval"] == "2s"
    assert read["web"]["listen"] == ["0.0.0.0:1234"]


def test_the_mounted_directories_are_those_the_daemon_uses(render: Render) -> None:
    rendered = render()
    daemon = tomllib.loads(rendered["ConfigMap"]["data"]["cgwarden.toml"])["daemon"]
    mounted = {mount["mountPath"] for mount in rendered.container["volumeMounts"]}

    assert {daemon["run_dir"], daemon["state_dir"], "/sys/fs/cgroup"} <= mounted


def test_a_policy_reaches_the_directory_that_the_daemon_reads(render: Render) -> None:
    values = next(path for path in VALUES if path.stem == "everything-values")
    rendered = render(values=values)
    (config,) = [volume["configMap"] for volume in rendered.pod["volumes"] if volume["name"] == "config"]
    paths = {item["path"]: item["key"] for item in config["items"]}

    text = rendered["ConfigMap"]["data"][paths["policies.d/suppress.yaml"]]

    assert "{{ not a template }}" in text, "a policy's text is not a template"
    assert yaml.safe_load(text) == {"kind": "Policy"}


def test_a_changed_policy_restarts_the_pods(render: Render) -> None:
    def checksum(*settings: str) -> str:
        annotations: dict[str, Any] = render(*settings)["DaemonSet"]["spec"]["template"]["metadata"][
            "annotations"
        ]
        return str(annotations["checksum/config"])

    assert checksum() == checksum()
    assert checksum() != checksum(r"policies.one\.yaml=kind: Policy")


def test_the_selector_stays_the_same_for_the_life_of_a_release(render: Render) -> None:
    plain, labelled = render(), render("podLabels.team=ops", "image.tag=9.9.9")

    assert plain["DaemonSet"]["spec"]["selector"] == labelled["DaemonSet"]["spec"]["selector"]
    assert set(plain["DaemonSet"]["spec"]["selector"]["matchLabels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
    }


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_the_kubelet_asks_the_route_that_needs_no_token(render: Render, probe: str) -> None:
    assert render().container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_every_linux_node_gets_a_daemon(render: Render) -> None:
    pod = render().pod

    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["priorityClassName"] == "system-node-critical"


def test_prometheus_scrapes_with_a_token_and_names_the_node(render: Render) -> None:
    monitor = render("serviceMonitor.enabled=true", "serviceMonitor.tokenSecret.name=scrape")[
        "ServiceMonitor"
    ]
    (endpoint,) = monitor["spec"]["endpoints"]

    assert endpoint["path"] == "/metrics"
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": {"name": "scrape", "key": "token"}}
    assert {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"} in endpoint[
        "relabelings"
    ]
    assert (
        monitor["spec"]["selector"]["matchLabels"].items()
        <= render()["Service"]["metadata"]["labels"].items()
    )
    assert endpoint["port"] in {port["name"] for port in render()["Service"]["spec"]["ports"]}


def test_a_digest_pins_the_image(render: Render) -> None:
    digest = "sha256:" + "0" * 64

    assert render(f"image.digest={digest}").container["image"] == f"cgwarden@{digest}"
    assert render("image.tag=1.2.3").container["image"] == "cgwarden:1.2.3"
