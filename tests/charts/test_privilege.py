"""What the chart asks of a node: exactly this, and a change here is a change of what operators must trust."""

import pytest

from tests.charts.conftest import VALUES, Render

CAPABILITIES = {
    *("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN"),
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
every_values_file = pytest.mark.parametrize(
    "values", [None, *VALUES], ids=lambda v: v.stem if v else "defaults"
)


@every_values_file
def test_the_daemon_has_exactly_the_listed_capabilities(render: Render, values: None) -> None:
    security = render(values=values).container["securityContext"]

    assert security["privileged"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == CAPABILITIES


@every_values_file
def test_the_node_gives_its_pids_and_neither_its_network_nor_its_ipc(render: Render, values: None) -> None:
    pod = render(values=values).pod

    assert (pod["hostPID"], pod["hostNetwork"], pod["hostIPC"]) == (True, False, False)
    assert all("hostPort" not in port for port in render(values=values).container["ports"])


def test_only_three_directories_of_the_node_can_be_written(render: Render) -> None:
    rendered = render(values=VALUES[0])
    on_the_node = {v["name"]: v["hostPath"]["path"] for v in rendered.pod["volumes"] if "hostPath" in v}
    writable = {
        on_the_node[mount["name"]]
        for mount in rendered.container["volumeMounts"]
        if mount["name"] in on_the_node and not mount.get("readOnly")
    }

    assert writable == {"/sys/fs/cgroup", "/var/lib/cgwarden", "/run/cgwarden"}


def test_the_daemon_cannot_write_its_own_program(render: Render) -> None:
    assert render().container["securityContext"]["readOnlyRootFilesystem"] is True


def test_mounts_reach_the_pod_and_never_the_node(render: Render) -> None:
    mounts = {mount["mountPath"]: mount for mount in render().container["volumeMounts"]}

    assert mounts["/sys/fs/cgroup"]["mountPropagation"] == "HostToContainer"
    assert all(mount.get("mountPropagation") != "Bidirectional" for mount in mounts.values())


@every_values_file
def test_no_token_of_the_cluster_is_mounted_and_no_right_in_it_is_asked_for(
    render: Render, values: None
) -> None:
    rendered = render(values=values)

    assert rendered["ServiceAccount"]["automountServiceAccountToken"] is False
    assert rendered.pod["automountServiceAccountToken"] is False
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & set(rendered.kinds)


def test_the_pod_of_helm_test_has_no_privilege(render: Render) -> None:
    spec = render()["Pod"]["spec"]
    security = spec["containers"][0]["securityContext"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "volumes" not in spec
