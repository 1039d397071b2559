"""The parts of the daemon, made and connected: who gets what, what starts first, and what ends last."""

import logging
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cgroupfs
from cgwarden import __version__
from cgwarden.checks import make_check
from cgwarden.config import Config
from cgwarden.exits import EXIT_CONFIG, EXIT_FAILED
from cgwarden.host_checks import check_host
from cgwarden.pulse import Pulse
from cgwarden.self_checks import SelfChecks
from enforcer import Enforcer, Guardian, Journal, NewerJournal
from launcher import ContainerSpec, Launcher, LauncherEvent, Spawner
from launcher.network import NetworkConfig
from monitor import Event, EventLog, Monitor, NewerSchema, Snapshot
from web import Access, Services, create_app
from web.server import serve
from web.sockets import CannotListen, bind_tcp, bind_unix

log = logging.getLogger("cgwarden")

STOP_FILE: Final = "policies.stop"
"""While this file exists in the run directory, every policy only observes; leases still end."""


def run_daemon(
    config: Config, hierarchies: cgroupfs.Hierarchies, spawner: Spawner, guardian: Guardian
) -> int:
    """Serve until SIGTERM or SIGINT; containers keep running. Returns the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="cgwarden: %(message)s")
    try:
        tcp = [bind_tcp(address, allow_plain_http=config.allow_plain_http) for address in config.listen]
        unix = bind_unix(config.socket_path, config.socket_group)
        ports = tuple(int(listener.getsockname()[1]) for listener in tcp)
        parts = Parts(config, hierarchies, spawner, guardian, ports)
    except CannotListen as error:
        log.error("%s", error)
        return EXIT_FAILED
    except (NewerSchema, NewerJournal) as error:
        log.error("%s", error)
        return EXIT_CONFIG
    addresses = [format_address(listener.getsockname()) for listener in tcp]
    app = create_app(parts.services(addresses), cadvisor_names=config.cadvisor_names)
    server = serve(app, [unix, *tcp])
    parts.start()
    signal.signal(signal.SIGHUP, lambda _number, _frame: parts.reload_policies())
    log.info("ready: %s", ", ".join([config.socket_path, *(f"http://{address}" for address in addresses)]))
    try:
        server.run()
    finally:
        parts.stop()
        Path(config.socket_path).unlink(missing_ok=True)  # nobody answers there any more
    return 0


def format_address(name: Sequence[object]) -> str:
    """A bound TCP socket's name as HOST:PORT, IPv6 in brackets."""
    host, port = str(name[0]), name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Parts:
    """Everything the daemon consists of, and the few lines through which the parts talk to each other."""

    def __init__(
        self,
        config: Config,
        hierarchies: cgroupfs.Hierarchies,
        spawner: Spawner,
        guardian: Guardian,
        api_ports: tuple[int, ...],
    ) -> None:
        self._config = config
        self._hierarchies = hierarchies
        self._spawner = spawner
        self._guardian = guardian
        state_dir = Path(config.state_dir)
        self.events = EventLog(str(state_dir / "events.db"))
        self.launcher = Launcher(
            hierarchies=hierarchies,
            cgroup_parent=config.cgroup_parent,
            run_dir=config.run_dir,
            state_dir=config.state_dir,
            spawner=spawner,
            on_event=self._on_container_event,
            record_limits=self._record_limits,
            root_driver=config.root_driver,
            network=NetworkConfig(
                pool=config.network_pool,
                uplinks=config.network_uplinks,
                prepared=config.network_prepared,
                api_ports=api_ports,
            ),
        )
        self.launcher.images.tell = self._on_image_event
        self.launcher.images.limit(layer_bytes=config.image_layer_bytes, entries=config.image_entries)
        self.journal = Journal(str(state_dir / "journal.db"))
        self.enforcer = Enforcer(
            hierarchies=hierarchies,
            find=self.launcher.limited,
            journal=self.journal,
            emit=self._emit,
            guardian=guardian,
            stop_file=str(Path(config.run_dir) / STOP_FILE),
        )
        self.monitor = Monitor(
            source=self.launcher,
            hierarchies=hierarchies,
            events=self.events,
            interval_sec=config.interval_sec,
            history_sec=config.history_sec,
        )
        self.self_checks = SelfChecks(self.journal, self.events, self.enforcer, self.monitor)
        self._decided: Counter[tuple[str, str]] = Counter()
        self.pulse = Pulse(
            sweep=self.monitor.tick,
            decide=self._decide,
            interval_sec=config.interval_sec,
        )

    def start(self) -> None:
        """Take over what runs, resolve what was interrupted, then begin to sweep and decide."""
        self._emit(
            "daemon.start", actor_kind="daemon", actor_name="cgwarden", reason=f"version {__version__}"
        )
        self.launcher.adopt()
        self.enforcer.recover()
        self.launcher.resume()
        self.reload_policies()
        self.pulse.start()

    def stop(self) -> None:
        """End what decides first and what records last; containers, and leases, go on without us."""
        self.pulse.stop()
        self.enforcer.close()
        self.launcher.close()
        self.monitor.close()
        self._guardian.close()
        self._spawner.close()
        self._emit("daemon.stop", actor_kind="daemon", actor_name="cgwarden", reason="asked to stop")
        self.events.close()

    def reload_policies(self) -> None:
        """Read the policy directory again; of a broken file in it the last good version stays in force."""
        files = sorted(str(path) for path in Path(self._config.policy_dir).glob("*.yaml"))
        for error in self.enforcer.reload_policies(files):
            reason = f"policy file set aside: {error}"
            log.error("%s", reason)
            self._emit("policy.state", actor_kind="daemon", actor_name="cgwarden", reason=reason)
        log.info("policies: %d loaded from %s", len(self.enforcer.policies()), self._config.policy_dir)

    def services(self, addresses: Sequence[str]) -> Services:
        """What the web side gets to work with."""
        access = Access.open(
            str(Path(self._config.state_dir) / "tokens.json"),
            group=self._config.socket_group,
            open_metrics=self._config.metrics_open,
            allowed_hosts=self._config.allowed_hosts,
            trusted_origins=self._config.trusted_origins,
        )
        return Services(
            launcher=self.launcher,
            monitor=self.monitor,
            enforcer=self.enforcer,
            events=self.events,
            access=access,
            info={
                "version": __version__,
                "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
                "started_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "listen": list(addresses),
                "cgroup_parent": self._config.cgroup_parent,
            },
            doctor=self._examine,
            hierarchies=self._hierarchies.report,
            health=self.self_checks.health,
            decided=lambda: dict(self._decided),
        )

    def _decide(self, snapshot: Snapshot) -> None:
        for record in self.enforcer.on_snapshot(snapshot):
            self._decided[record.decision.policy.name, record.outcome] += 1

    def _examine(self) -> Mapping[str, object]:
        alive = self.pulse.is_alive()
        state, detail = (
            ("ok", "sweeps and decides") if alive else ("missing", "its sweep or engine thread died")
        )
        daemon = make_check("daemon", state, detail, "" if alive else "restart it; containers keep running")
        # The path that placement made of the configured name ends in it.
        name = self._config.cgroup_parent.rpartition("/")[2]
        return check_host(daemon, *self.self_checks.checks(), parent=name)

    def _emit(self, type: str, *, actor_kind: str, actor_name: str, **facts: object) -> Event:
        event = self.events.append(type, actor_kind=actor_kind, actor_name=actor_name, **facts)  # type: ignore[arg-type]
        if event.container is not None:
            self.monitor.refresh_limits(str(event.container["name"]))
        return event

    def _on_image_event(self, type: str, name: str, detail: Mapping[str, object]) -> None:
        self.events.append(type, actor_kind="daemon", actor_name="images", reason=name, after=detail)

    def _on_container_event(self, event: LauncherEvent) -> None:
        self.events.append(
            event.type,
            container=event.container,
            actor_kind="daemon",
            actor_name="launcher",
            reason=event.reason,
            after=event.detail or None,
        )
        if event.container is None:
            return
        if event.type in ("container.remove", "group.remove"):
            self.enforcer.forget(event.container)
        elif event.type == "container.oom":
            self.monitor.refresh_limits(event.container)

    def _record_limits(
        self, spec: ContainerSpec, written: Sequence[cgroupfs.Written] | None, phase: str
    ) -> None:
        self.enforcer.record_spec_limits(spec.name, spec.limits, written, phase)
