"""Create and start of one container, and the way back: whatever fails, nothing half-made is left.

Order: intent on disk, cgroups, supervisor, first process, record and limits, gate, program. The supervisor
makes intent and record durable in one go, and we put the limits in force, while the first process sets itself
up; no program runs and nothing is acknowledged before both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from cgroupfs import Cgroup, CgroupGone, Refused, Write, Written
from launcher import channel, klass, records
from launcher.attached import FirstAudience
from launcher.beside.spawner import Spawner
from launcher.container import Container
from launcher.devices import device_rules
from launcher.errors import (
    CannotInvoke,
    CommandNotFound,
    LauncherError,
    LaunchFailed,
    NameTaken,
    TooLittleMemory,
)
from launcher.failpoints import reach
from launcher.images.merge import merge_image
from launcher.lives.intent import keep_intent, make_run_dir, record_intent
from launcher.lives.joins import Joins, hostname_of, open_joins
from launcher.network import launching as networking
from launcher.processes import held_process
from launcher.scene import namespaces, plan
from launcher.site import Site
from launcher.spec import ContainerSpec

ANSWER_SEC: Final = 60.0
RecordLimits = Callable[[ContainerSpec, Sequence[Written] | None, str], None]


def error_of(command: str, wire: dict[str, Any]) -> LauncherError:
    """What a process of ours reported from its last steps, as the error that the caller gets."""
    if wire["kind"] == "not-found":
        return CommandNotFound(command, wire["why"])
    if wire["kind"] == "cannot-invoke":
        return CannotInvoke(command, wire["why"])
    return LaunchFailed(wire["step"], wire["why"])


def launch(
    site: Site,
    spawner: Spawner,
    spec: ContainerSpec,
    record_limits: RecordLimits,
    first: FirstAudience | None = None,
) -> tuple[Container, int]:
    """Create and start; the running container, and its supervisor's pid. Raises with everything undone."""
    with _checked(site, spec) as (spec, layers), contextlib.ExitStack() as undo:
        created_at = record_intent(site, spec, layers, undo)
        started = start(site, spawner, spec, created_at, record_limits, first)
        undo.pop_all()
    return started


def create(site: Site, spec: ContainerSpec) -> Container:
    """All that outlives a run: the record and the writable layer. It will be kept until it is removed."""
    with _checked(site, spec) as (spec, layers), contextlib.ExitStack() as undo:
        created_at = record_intent(site, spec, layers, undo)
        keep_intent(site, spec, created_at)
        undo.pop_all()
    reach("create.kept")
    return Container(spec=spec, state="created", created_at=created_at)


@contextlib.contextmanager
def _checked(site: Site, spec: ContainerSpec) -> Iterator[tuple[ContainerSpec, tuple[str, ...]]]:
    """`check` for a new container, and where its layers are: an image's stay until it is on record."""
    with site.image_of(spec) as image:
        if image is not None:
            yield check(site, merge_image(spec, image)), site.images.layer_dirs(image)
            return
        spec = check(site, spec)
        yield spec, (spec.rootfs,)


def check(site: Site, spec: ContainerSpec) -> ContainerSpec:
    """The spec with all that the site knows better filled in; refuses what cannot be, before all else."""
    klass.check_class(spec)
    refuse_foreign_cgroup(site, spec)
    site.confiner.confine(spec)
    if spec.rootfs:
        spec = replace(spec, rootfs=site.real_root(spec))
    site.check_belongings(spec)
    spec = replace(spec, hostname=hostname_of(spec, site.find))
    return site.roots.check(spec)


def _facts(site: Site, spec: ContainerSpec, created_at: str) -> plan.LaunchFacts:
    facts = site.facts(spec, created_at, site.confiner.confine(spec))
    return site.with_belongings(facts, spec)


def start(
    site: Site,
    spawner: Spawner,
    spec: ContainerSpec,
    created_at: str,
    record_limits: RecordLimits,
    first: FirstAudience | None = None,
) -> tuple[Container, int]:
    """One run of what is on record. Whatever fails, what belongs to the run is undone, the record stays."""
    with open_joins(spec, site.find) as joins, contextlib.ExitStack() as undo:
        make_run_dir(site, spec.name, undo)
        site.roots.wake(spec)
        if site.proc_view.wanted(spec):
            site.proc_view.start()
        # The supervisor gets ready while we make the cgroups; if we fail, it sees its channel end and leaves.
        request = {"spec": spec.to_wire(), "facts": _facts(site, spec, created_at).to_wire()}
        request |= {} if first is None else first.to_wire()
        answers = spawner.request(request, [] if first is None else [first.fd])
        reach("launch.requested")
        with answers:
            networking.connect(site, spec, joins, undo)
            cgroup = _make_cgroup(site, spec, undo)
            meant = klass.mean(spec, cgroup)
            shaped = replace(spec, limits=meant.limits)
            writes = cgroup.plan_limits(shaped.limits)
            cgroup.apply(cgroup.plan_devices(device_rules(spec)))
            _send_places(answers, cgroup, joins)
            reach("launch.sent")
            # Meanwhile the first process sets its scene; its program waits for the word that limits hold.
            _limit(shaped, cgroup, writes, answers, record_limits)
            reach("launch.limits")
            identity = _await_program(answers, spec, cgroup)
        undo.pop_all()
    reach("launch.started")
    notes = meant.notes + klass.describe_score(klass.oom_score_of(spec, site.host_bytes), identity)
    container = _running(spec, created_at, identity, cgroup)
    return replace(container, notes=notes), identity["supervisor_pid"]


def _make_cgroup(site: Site, spec: ContainerSpec, undo: contextlib.ExitStack) -> Cgroup:
    cgroup = site.hierarchies.create(site.cgroup_of(spec))
    undo.callback(site.hierarchies.remove, cgroup.path)
    undo.callback(cgroup.close)
    undo.callback(_kill_rest, cgroup)
    reach("launch.cgroups")
    return cgroup


def _running(spec: ContainerSpec, created_at: str, identity: dict[str, Any], cgroup: Cgroup) -> Container:
    return Container(
        spec=spec,
        state="running",
        pid=identity["pid"],
        start_ticks=identity["start_ticks"],
        created_at=created_at,
        started_at=identity["started_at"],
        cgroup=cgroup,
        oom_score_adj=identity.get("oom_score_adj"),
    )


def refuse_foreign_cgroup(site: Site, spec: ContainerSpec) -> None:
    """A populated cgroup of that name that is no container of ours is somebody else's: never touched."""
    try:
        found = site.hierarchies.cgroup(site.cgroup_of(spec))
    except CgroupGone:
        return
    with contextlib.closing(found):
        if found.procs():
            raise NameTaken(spec.name, f"the cgroup {found.path} has processes that cgwarden did not start")


def _limit(
    spec: ContainerSpec,
    cgroup: Cgroup,
    writes: Sequence[Write],
    answers: socket.socket,
    record_limits: RecordLimits,
) -> None:
    """Put the limits in force and say so: the gate before the program opens on that word alone."""
    if spec.limits:
        record_limits(spec, None, "intent")
    written = _apply(spec, cgroup, writes)
    with contextlib.suppress(OSError):  # the supervisor has ended; what it said is still there to be read
        channel.send(answers, {"limited": True})
    if spec.limits:
        record_limits(spec, written, "applied")


def _apply(spec: ContainerSpec, cgroup: Cgroup, writes: Sequence[Write]) -> list[Written]:
    try:
        return cgroup.apply(writes)
    except Refused as e:
        limit = spec.limits.get("memory_max_bytes")
        if e.errno == errno.EBUSY and isinstance(limit, int):
            raise TooLittleMemory(limit) from None
        raise


def entry_fds(cgroup: Cgroup) -> tuple[list[int], int | None]:
    """v1 `tasks` to write "0" to (the caller closes them), and the unified directory, which processes are
    born into.
    """
    fds = cgroup.entry_fds()
    unified = cgroup.dirs.get("unified")
    if unified is None:
        return fds, None
    device = os.fstat(unified.fd).st_dev
    for fd in [fd for fd in fds if os.fstat(fd).st_dev == device]:
        os.close(fd)
        fds.remove(fd)
    return fds, unified.fd


def _send_places(answers: socket.socket, cgroup: Cgroup, joins: Joins) -> None:
    """The cgroups it shall enter, and the namespaces it shall join instead of new ones."""
    fds, unified = entry_fds(cgroup)
    body = {"unified": unified is not None, "joins": list(joins.fds)}
    try:
        channel.send(answers, body, [*fds, *([] if unified is None else [unified]), *joins.fds.values()])
    except OSError:
        # The supervisor has ended; what it said is still there to be read.
        return
    finally:
        for fd in fds:
            os.close(fd)


def start_keeper(site: Site, spawner: Spawner, container: Container) -> int:
    """A process in the place of a killed supervisor, as far as one can that is not the parent; its pid."""
    assert container.pid is not None
    with held_process(container.pid, container.start_ticks) as pidfd:
        request = {"facts": site.facts(container.spec).to_wire()}
        answers = spawner.request(request, [pidfd])
    with answers:
        keeper: int = _await_started(answers, container.spec.argv[0])["supervisor_pid"]
    return keeper


def _await_started(answers: socket.socket, command: str) -> dict[str, Any]:
    answers.settimeout(ANSWER_SEC)
    try:
        answer = channel.receive(answers)
    except TimeoutError:
        raise LaunchFailed("set up the container", f"no answer within {ANSWER_SEC:g} s") from None
    if answer is None:
        raise LaunchFailed("set up the container", "its supervisor ended without a word")
    if "error" in answer.body:
        raise error_of(command, answer.body["error"])
    started: dict[str, Any] = answer.body["started"]
    return started


def _await_program(answers: socket.socket, spec: ContainerSpec, cgroup: Cgroup) -> dict[str, Any]:
    """A first process that was killed for want of memory could not say so; its cgroup can."""
    try:
        return _await_started(answers, spec.argv[0])
    except LaunchFailed:
        limit = spec.limits.get("memory_max_bytes")
        if isinstance(limit, int) and _read_oom_kills(cgroup):
            raise TooLittleMemory(limit) from None
        raise


def _read_oom_kills(cgroup: Cgroup) -> int:
    with contextlib.suppress(CgroupGone):
        return cgroup.read_slow().oom_kills or 0
    return 0


def _kill_rest(cgroup: Cgroup) -> None:
    with contextlib.suppress(CgroupGone):
        cgroup.kill()


def describe(site: Site, spec: ContainerSpec) -> list[str]:
    """Every step of the launch, as `--dry-run` shows it; nothing is made."""
    with site.image_of(spec) as image:
        spec = check(site, spec if image is None else merge_image(spec, image))
    path = site.cgroup_of(spec)
    limits = [f"limit {field} to {wish}" for field, wish in spec.limits.items()]
    rules = [f"allow device {rule.text()}" for rule in device_rules(spec)]
    return [
        f"record the intent in {site.state_of(spec.name)}/{records.SPEC}",
        site.roots.describe(spec, site.layers_of(spec)),
        f"create cgroup {path} in every hierarchy",
        "deny all devices",
        *rules,
        *limits,
        f"set oom_score_adj to {klass.oom_score_of(spec, site.host_bytes)} (class {spec.klass})",
        "fork a supervisor",
        *networking.describe(spec),
        *namespaces.describe(spec),
        *(operation.describe() for operation in plan.plan_inside(spec, _facts(site, spec, ""))),
        *plan.plan_program(spec, site.confiner.confine(spec)).describe(),
    ]
