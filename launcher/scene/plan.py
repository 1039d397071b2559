"""From a checked spec and the facts of its launch to the ordered list of operations; pure, so a dry run
shows the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import Any

from launcher.procview.operation import MountProcView
from launcher.rootfs.changing import ChangeRoot
from launcher.rootfs.mounting import MountRoot
from launcher.rootfs.source import RootSource
from launcher.scene import devfs, etcfiles, masks, mounts, namespaces, reaper, terminal
from launcher.scene import operations as do
from launcher.scene.capabilities import plan_ambient, plan_capabilities
from launcher.scene.confinement import Confinement
from launcher.scene.rlimits import RaiseLimits
from launcher.scene.seal import Program
from launcher.scene.userns import EnterUserNamespace, IdRange, OpenLowPorts
from launcher.scene.volume_mounts import AttachVolume, in_order, plan_tmpfs
from launcher.spec import ContainerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """What the daemon knows about one launch and the supervisor needs."""

    state_dir: str
    run_dir: str
    boot_id: str
    created_at: str
    cgroup_path: str
    cgroup_binds: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    masked_files: tuple[str, ...]
    masked_directories: tuple[str, ...]
    read_only_paths: tuple[str, ...]
    root: RootSource
    pivots: bool
    confinement: Confinement
    proc_view: str = ""
    threads: int = 0  # that its quota fills; 0: none
    time_offsets: Mapping[str, int] = field(default_factory=dict)
    ids: IdRange | None = None
    volumes: tuple[AttachVolume, ...] = ()
    nodes: tuple[devfs.Node, ...] = ()
    reaper: str = ""
    oom_score_adj: int = 0

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> LaunchFacts:
        facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in wire.items()}
        facts["cgroup_binds"] = tuple((name, path) for name, path in wire["cgroup_binds"])
        facts["root"] = RootSource.from_wire(wire["root"])
        facts["confinement"] = Confinement.from_wire(wire["confinement"])
        facts["ids"] = None if wire["ids"] is None else IdRange(*wire["ids"])
        facts["volumes"] = tuple(AttachVolume.from_wire(volume) for volume in wire["volumes"])
        facts["nodes"] = tuple(devfs.Node(*node) for node in wire["nodes"])
        return cls(**facts)

    def to_wire(self) -> dict[str, Any]:
        wire = {f.name: getattr(self, f.name) for f in fields(self)} | {"root": self.root.to_wire()}
        return wire | {
            "confinement": self.confinement.to_wire(),
            "ids": None if self.ids is None else astuple(self.ids),
            "volumes": [volume.to_wire() for volume in self.volumes],
            "nodes": [astuple(node) for node in self.nodes],
        }


def plan_inside(spec: ContainerSpec, facts: LaunchFacts, media_fd: int = -1) -> list[do.Operation]:
    """The order is the kernel's: docs/launcher.md says for each step what breaks when it moves. `media_fd` is
    the mount that `open_media` made for this root.
    """
    plan: list[do.Operation] = [
        do.JoinCgroups(facts.cgroup_path),
        do.JoinNamespaces(),
        *([do.NewCgroupNamespace()] if spec.cgroupns == "private" and facts.ids is None else []),
        do.StopPropagation(),
        MountRoot(facts.root, facts.state_dir, media_fd),
        *(mounts.HidePath(path) for path in facts.hidden),
        *etcfiles.plan_etc(spec, facts.state_dir),
        mounts.MountProc(),
        mounts.MountSys(),
        mounts.MountCgroups(facts.cgroup_binds),
        devfs.MountDev(spec.shm_bytes, facts.nodes, spec.ipc),
        *([reaper.MountReaper(facts.reaper)] if facts.reaper else []),
        *([terminal.OpenTerminal()] if spec.tty else []),
        *in_order((*facts.volumes, *plan_tmpfs(spec))),
        *([OpenLowPorts()] if facts.ids and spec.network == "bridge" else []),
        masks.MaskPaths(facts.masked_files, facts.masked_directories),
        masks.ReadOnlyPaths(facts.read_only_paths),
        *([MountProcView(facts.proc_view)] if facts.proc_view else []),
    ]
    if spec.network == "none":
        plan.append(do.LoopbackUp())
    if namespaces.source_of(spec, "uts") == namespaces.NEW:
        plan.append(do.SetHostname(spec.hostname))
    plan.append(ChangeRoot(spec.read_only, facts.pivots))
    if spec.rlimits:
        plan.append(RaiseLimits(spec.rlimits))
    if facts.ids is not None:
        plan.append(EnterUserNamespace(facts.ids, spec.cgroupns == "private"))
    return plan


def plan_program(spec: ContainerSpec, confinement: Confinement, *, threads: int = 0) -> Program:
    """The program, with the capabilities it will hold and what will be laid upon it.

    `threads` become OMP_NUM_THREADS, which `nproc` and OpenMP heed, unless it is set: sched_getaffinity(2)
    knows cpusets alone.
    """
    held = plan_capabilities(spec.cap_add, spec.cap_drop)
    ambient = plan_ambient(spec.cap_add, spec.cap_drop)
    env = ({"OMP_NUM_THREADS": str(threads)} if threads else {}) | dict(spec.env)
    who = (spec.workdir, spec.user, spec.hostname)
    return Program(spec.argv, env, *who, held, ambient, confinement, spec.rlimits, spec.init)
