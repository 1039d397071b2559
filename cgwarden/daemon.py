"""The start of `cgwarden serve`: refuse early, take the locks, start the processes that outlive the daemon.

Nothing large is imported before every reason to refuse was looked at; then the spawner and the guardian are
started, and the rest is wired together (`cgwarden.wiring`). The order is the point of this module.
"""

import argparse
import dataclasses
import errno
import fcntl
import os
import resource
import sys
from collections.abc import Sequence

import cgroupfs
from cgwarden.config import Config, ConfigError, read_config
from cgwarden.exits import EXIT_CONFIG, EXIT_CONFLICT, EXIT_DENIED, EXIT_FAILED
from cgwarden.net_hierarchy import NetHierarchy, NotHere
from cgwarden.parent_lock import ParentLock, ParentTaken


class StartRefused(Exception):
    """The daemon cannot start here; carries the exit status, and one line that says what to do."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


def main(argv: Sequence[str]) -> int:
    """Run the daemon until it is told to stop; the exit statuses are those of docs/command-line.md."""
    try:
        config = _read_options(argv)
        hierarchies = _require_host()
        locks = [take_lock(directory, mode) for directory, mode in directories(config)]
    except StartRefused as refused:
        sys.stderr.write(f"cgwarden serve: {refused}\n")
        return refused.status
    net = NetHierarchy(config.run_dir)
    parent = None
    try:
        hierarchies = mount_net(config, hierarchies, net)
        config, hierarchies = settle(config, hierarchies)
        parent = take_parent(config.cgroup_parent)
        return _run(config, hierarchies)
    except StartRefused as refused:
        sys.stderr.write(f"cgwarden serve: {refused}\n")
        return refused.status
    except PermissionError as error:
        # Root without the rights it needs, as in a container that was given too few capabilities.
        sys.stderr.write(
            f"cgwarden serve: the kernel refuses: {error}; `cgwarden doctor` lists what is needed\n"
        )
        return EXIT_DENIED
    finally:
        if parent is not None:
            parent.release()
        if why := net.release():
            sys.stderr.write(f"cgwarden serve: {why}\n")
        for lock in locks:
            os.close(lock)


def _run(config: Config, hierarchies: cgroupfs.Hierarchies) -> int:
    raise_file_limit()
    # Both are fresh interpreters: they must not carry this one's threads, locks and memory.
    from enforcer.errors import GuardianLost
    from enforcer.guardian import Guardian
    from launcher.beside.spawner import Spawner

    spawner = Spawner.start()
    try:
        guardian = Guardian.start(config.run_dir)
    except GuardianLost as error:
        sys.stderr.write(f"cgwarden serve: {error}\n")
        return EXIT_FAILED

    from cgwarden.wiring import run_daemon

    return run_daemon(config, hierarchies, spawner, guardian)


def _read_options(argv: Sequence[str]) -> Config:
    parser = argparse.ArgumentParser(prog="cgwarden serve", description="Run the cgwarden daemon.")
    parser.add_argument("--config", metavar="FILE", help="TOML file (default: /etc/cgwarden/cgwarden.toml)")
    parser.add_argument("--run-dir", metavar="DIR", help="socket and locks (default: /run/cgwarden)")
    parser.add_argument("--state-dir", metavar="DIR", help="intent and history (default: /var/lib/cgwarden)")
    parser.add_argument("--policy-dir", metavar="DIR", help="policies (default: /etc/cgwarden/policies.d)")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help='TCP address (default: 127.0.0.1:9380; "" for none)'
    )
    parser.add_argument(
        "--cgroup-parent", metavar="NAME", help="parent of all containers (default: cgwarden)"
    )
    parser.add_argument("--network-pool", metavar="CIDR", help="addresses of bridged containers (auto)")
    options = vars(parser.parse_args(argv))
    file = options.pop("config")
    try:
        return read_config(file, options, os.environ)
    except ConfigError as error:
        raise StartRefused(EXIT_CONFIG, str(error)) from error


def _require_host() -> cgroupfs.Hierarchies:
    if os.geteuid() != 0:
        raise StartRefused(EXIT_DENIED, "needs root to make cgroups and namespaces: run it with sudo")
    try:
        return cgroupfs.Hierarchies.read()
    except cgroupfs.NoCgroups as error:
        raise StartRefused(EXIT_CONFIG, str(error)) from error


def mount_net(config: Config, hierarchies: cgroupfs.Hierarchies, net: NetHierarchy) -> cgroupfs.Hierarchies:
    """With ``net_cls`` and ``net_prio`` where that is configured. Raises StartRefused."""
    try:
        if config.mount_net and net.mount(hierarchies):
            hierarchies = cgroupfs.Hierarchies.read()
    except NotHere as error:
        raise StartRefused(EXIT_CONFIG, str(error)) from error
    except (cgroupfs.CgroupError, OSError) as error:
        status = EXIT_DENIED if getattr(error, "errno", 0) == errno.EPERM else EXIT_FAILED
        raise StartRefused(status, str(error)) from error
    net.hold(hierarchies)
    return hierarchies


def settle(config: Config, hierarchies: cgroupfs.Hierarchies) -> tuple[Config, cgroupfs.Hierarchies]:
    """Go where this host lets our groups be: its top, what systemd has delegated, or our own namespace.

    This process may have to move into a group of its own first, and so this comes before any other is forked.
    """
    placement = cgroupfs.place(hierarchies, config.cgroup_parent)
    try:
        hierarchies = cgroupfs.settle(hierarchies, placement)
    except cgroupfs.NoCgroups as error:
        raise StartRefused(EXIT_CONFIG, f"{placement.base}: {error}") from error
    except cgroupfs.CgroupError as error:
        raise StartRefused(EXIT_FAILED, str(error)) from error
    if placement.advice:
        sys.stderr.write(f"cgwarden serve: {placement.why}; {placement.advice}\n")
    return dataclasses.replace(config, cgroup_parent=placement.parent.lstrip("/")), hierarchies


def raise_file_limit() -> None:
    """Allow as many descriptors as the host lets us: the sweep keeps ten per container open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def directories(config: Config) -> tuple[tuple[str, int], ...]:
    """The directories one daemon owns alone, and their modes; the socket's group may enter the first."""
    return (config.run_dir, 0o750), (config.state_dir, 0o700)


def take_parent(parent: str) -> ParentLock:
    """The cgroup parent for this daemon alone. Raises StartRefused: it is another's (4), or no lock (1)."""
    try:
        return ParentLock(parent)
    except ParentTaken as error:
        raise StartRefused(
            EXIT_CONFLICT,
            f"the cgroup parent {parent} belongs to a running daemon (pid {error}): stop that one, or give "
            "this one its own --cgroup-parent",
        ) from error
    except OSError as error:
        raise StartRefused(EXIT_FAILED, f"{error.filename}: cannot be locked: {error.strerror}") from error


def take_lock(directory: str, mode: int) -> int:
    """Make `directory` if needed and hold its lock for life; a stale file without a lock means nothing.

    Returns:
        the lock's descriptor; closing it, or dying, releases the lock.

    Raises:
        StartRefused: another daemon holds it (status 4), or the directory cannot be used (1).
    """
    path = os.path.join(directory, "lock")
    try:
        os.makedirs(directory, mode, exist_ok=True)
        os.chmod(directory, mode)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StartRefused(EXIT_FAILED, f"{directory}: cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if error.errno != errno.EWOULDBLOCK:
            raise StartRefused(EXIT_FAILED, f"{path}: cannot be locked: {error.strerror}") from error
        raise StartRefused(
            EXIT_CONFLICT,
            f"{directory} belongs to a running daemon (pid {holder or 'unknown'}): stop that one, or give "
            "this one its own --run-dir, --state-dir and --cgroup-parent",
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd
