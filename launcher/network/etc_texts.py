"""What stands in a container's own /etc/hosts, /etc/hostname and /etc/resolv.conf; written by the daemon for
each run.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from launcher.errors import LaunchFailed
from launcher.scene import etcfiles
from launcher.spec import ContainerSpec

HOST_FILES: Final = {etcfiles.HOSTS: "/etc/hosts", etcfiles.RESOLV_CONF: "/etc/resolv.conf"}
BEHIND_STUB: Final = "/run/systemd/resolve/resolv.conf"
"""What systemd-resolved asks, where the host's own file names only its stub on loopback."""
LARGEST_BYTES: Final = 64 << 10
LOOPBACK_NAMES: Final = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def hosts_text(hostname: str, address: str, extra: Mapping[str, str]) -> str:
    """Loopback, the names asked for, and the container itself: on loopback where it has no address."""
    others = "".join(f"{ip}\t{name}\n" for name, ip in extra.items())
    return f"{LOOPBACK_NAMES}{others}{address or '127.0.1.1'}\t{hostname}\n"


def resolv_text(host: str, dns: Sequence[str], search: Sequence[str]) -> str:
    """The host's resolvers without those that only the host can reach; `dns` and `search` replace its own.

    resolv.conf(5). "." as the only domain means: none.
    """
    servers = list(dns) or [server for server in _words(host, "nameserver") if not _is_loopback(server)]
    domains = list(search) or _words(host, "search")
    lines = [f"nameserver {server}" for server in servers]
    if domains and domains != ["."]:
        lines.append(f"search {' '.join(domains)}")
    if options := _words(host, "options"):
        lines.append(f"options {' '.join(options)}")
    return "".join(f"{line}\n" for line in lines) or "# the host's resolvers are on its loopback: use --dns\n"


def _words(text: str, key: str) -> list[str]:
    return list(_find_words(text, key))


def _find_words(text: str, key: str) -> Iterator[str]:
    for line in text.splitlines():
        field = line.split()
        if len(field) > 1 and field[0] == key:
            yield from field[1:]


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return True


def write_etc(state_dir: str, spec: ContainerSpec, address: str, joined_dir: str | None) -> None:
    """The files of one run. `joined_dir` is the directory of the container whose network it shares: it gets
    that one's names and resolvers.
    """
    directory = f"{state_dir}/{etcfiles.DIRECTORY}"
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        for name in etcfiles.names_of(spec):
            _write(f"{directory}/{name}", _text_of(name, spec, address, joined_dir))
    except OSError as e:
        raise LaunchFailed("write its /etc files", f"{directory}: {e.strerror}") from e


def _text_of(name: str, spec: ContainerSpec, address: str, joined_dir: str | None) -> str:
    if name == etcfiles.HOSTNAME:
        return f"{socket.gethostname() if spec.uts == 'host' else spec.hostname}\n"
    if joined_dir is not None:
        return _read(f"{joined_dir}/{etcfiles.DIRECTORY}/{name}")
    if name == etcfiles.HOSTS:
        if spec.network == "host":
            extra = "".join(f"{ip}\t{host}\n" for host, ip in spec.extra_hosts.items())
            return _read(HOST_FILES[name]) + extra
        return hosts_text(spec.hostname, address, spec.extra_hosts)
    if spec.network == "host" and not spec.dns and not spec.dns_search:
        return _read(HOST_FILES[name])
    host = _read(HOST_FILES[name])
    servers = _words(host, "nameserver")
    if servers and all(_is_loopback(server) for server in servers):
        host = _read(BEHIND_STUB) or host
    return resolv_text(host, spec.dns, spec.dns_search)


def _read(path: str) -> str:
    """Empty where there is none; a container may have filled its own, so no more than a little is read."""
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    """In place of the old file, not into it: a mount of the last run may still show that."""
    fresh = f"{path}.new"
    with open(fresh, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text.encode("utf-8", "surrogateescape"))
    os.rename(fresh, path)
