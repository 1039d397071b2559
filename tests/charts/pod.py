"""The chart's pod without a cluster: the rendered DaemonSet as a runc bundle, as a runtime makes it.

What the kubelet adds of its own (probes, the pod's network) stays untested; capabilities, namespaces, mounts,
the read-only root and the paths that runtimes mask are the same.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.charts.conftest import ROOT, Object, Rendered

_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_PROPAGATION = {None: "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class Pod:
    """One pod of the DaemonSet on this machine.

    Its root is an empty directory into which the runtime mounts the programs, read-only. Nothing is ever
    mounted in this process' own mount namespace, so no clean-up can reach the machine's files through it.
    """

    def __init__(self, rendered: Rendered, directory: Path, *, name: str, command: list[str]) -> None:
        self._directory = directory
        self._name = name
        self._root = directory / "root"
        self._state = directory / "runc"
        self._config = directory / "config"
        self._write_config_map(rendered)
        self._root.mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (self._root / name).symlink_to(f"usr/{name}")
        spec = self._bundle(rendered, command)
        (directory / "config.json").write_text(json.dumps(spec))
        self.log = directory / "pod.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon in the foreground of a runc."""
        with self.log.open("ab") as log:
            command = [
                "runc",
                "--root",
                str(self._state),
                "run",
                "--bundle",
                str(self._directory),
                self._name,
            ]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self, signal: str) -> int:
        """End the pod as the kubelet would: a signal to the daemon, then everything in the pod's cgroup."""
        if self._process is None:
            raise RuntimeError("the pod does not run")
        runc = ["runc", "--root", str(self._state)]
        subprocess.run([*runc, "kill", self._name, signal], check=False, capture_output=True)
        status = self._process.wait(timeout=30)
        subprocess.run([*runc, "delete", "--force", self._name], check=False, capture_output=True)
        self._process = None
        return status

    @property
    def runs(self) -> bool:
        """Whether the daemon is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """Whether there is something to stop, be it alive or not."""
        return self._process is not None

    def _write_config_map(self, rendered: Rendered) -> None:
        data = rendered["ConfigMap"]["data"]
        (volume,) = [one for one in rendered.pod["volumes"] if one["name"] == "config"]
        for item in volume["configMap"]["items"]:
            path = self._config / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(data[item["key"]])

    def _bundle(self, rendered: Rendered, command: list[str]) -> Object:
        container = rendered.container
        security = container["securityContext"]
        granted = [f"CAP_{name}" for name in security["capabilities"]["add"]]
        environment = [f"{one['name']}={one.get('value', '10.0.0.1')}" for one in container["env"]]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(self._root), "readonly": security["readOnlyRootFilesystem"]},
            "hostname": "node",
            "process": {
                "user": {"uid": security["runAsUser"], "gid": 0},
                "args": [*command, *container["args"]],
                "env": [*environment, f"PATH={os.environ['PATH']}"],
                "cwd": "/",
                "noNewPrivileges": not security["allowPrivilegeEscalation"],
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), granted),
            },
            "mounts": [*_SYSTEM_MOUNTS, *self._mounts(rendered), *_programs()],
            "linux": {
                # No pid namespace: hostPID.
                "namespaces": [{"type": kind} for kind in ("mount", "ipc", "uts", "network")],
                "cgroupsPath": f"/{self._name}",
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                "maskedPaths": [f"/proc/{name}" for name in _MASKED],
                "readonlyPaths": [f"/proc/{name}" for name in _READ_ONLY],
            },
        }

    def _mounts(self, rendered: Rendered) -> Iterator[Object]:
        volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
        # Parents first, as a kubelet sorts them too.
        for mount in sorted(rendered.container["volumeMounts"], key=lambda one: str(one["mountPath"])):
            volume = volumes[mount["name"]]
            target, mode = mount["mountPath"], "ro" if mount.get("readOnly") else "rw"
            if "emptyDir" in volume:
                yield {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
                continue
            source = volume["hostPath"]["path"] if "hostPath" in volume else str(self._config)
            propagation = _PROPAGATION[mount.get("mountPropagation")]
            options = ["rbind", propagation, mode]
            yield {"destination": target, "type": "bind", "source": source, "options": options}


def _programs() -> Iterator[Object]:
    """What the image would bring: the system's libraries, the interpreter, this checkout."""
    for path in sorted({"/usr", sys.base_prefix, str(ROOT)}):
        yield {"destination": path, "type": "bind", "source": path, "options": ["rbind", "rprivate", "ro"]}


def _system(destination: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


_SYSTEM_MOUNTS = (
    _system("/proc", "proc", "nosuid", "noexec", "nodev"),
    _system("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    _system("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    _system("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
    _system("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    _system("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
)
