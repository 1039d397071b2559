"""The listening sockets, bound by us: a unix socket that uvicorn binds is open to everyone on the host."""

import grp
import os
import socket
import stat
from typing import Final

SOCKET_MODE: Final = 0o660
DIRECTORY_MODE: Final = 0o750
_UMASK: Final = 0o117  # leaves rw-rw---- of the 0777 that bind() asks for
_BACKLOG: Final = 1024


class CannotListen(Exception):
    """The address cannot be served; the text says which one, why, and what to do."""


def bind_unix(path: str, group: str | None = None) -> socket.socket:
    """Bind `path` as a socket that only root and `group` can open, at every instant.

    The directory is made, or set to, mode 0750 and given to the group too. A socket left by a dead daemon is
    replaced (the caller holds the directory's lock); anything else in its place, a symlink too, is refused.
    """
    gid = _group_id(group)
    directory = os.path.dirname(path)
    os.makedirs(directory, DIRECTORY_MODE, exist_ok=True)
    if os.path.islink(directory):
        raise CannotListen(f"{directory} is a symlink: the socket's directory must be a real one")
    os.chown(directory, 0, gid)
    os.chmod(directory, DIRECTORY_MODE)
    _clear_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _bind_under_umask(listener, path)
        os.chown(path, 0, gid, follow_symlinks=False)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from error
    return listener


def bind_tcp(address: str, *, allow_plain_http: bool = False) -> socket.socket:
    """Bind `HOST:PORT` (`[::1]:9380` for IPv6; port 0 lets the kernel choose).

    Raises CannotListen for an address that is malformed, taken, or, unless that is allowed, reachable from
    other machines: there is no TLS yet, and a bearer token must not cross a network in clear text.
    """
    host, port = parse_address(address)
    if not allow_plain_http and not is_loopback(host):
        raise CannotListen(
            f"cannot listen on {address}: without TLS only loopback is served; put a TLS proxy in front"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {address}: {error.strerror or error}") from error
    return listener


def parse_address(address: str) -> tuple[str, int]:
    """Split "host:port"; an IPv6 host stands in brackets, as in a URL."""
    host, separator, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host[1:-1] if bracketed else host
    if (
        not separator
        or not plain
        or (":" in plain and not bracketed)
        or not (port.isascii() and port.isdigit())
    ):
        raise CannotListen(
            f"{address!r} is not an address: write HOST:PORT, such as 127.0.0.1:9380 or [::1]:9380"
        )
    if int(port) > 65535:
        raise CannotListen(f"{address!r} has no such port: the highest is 65535")
    return ("127.0.0.1" if plain == "localhost" else plain), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    return host == "::1" or host.startswith("127.")


def local_address(listener: socket.socket) -> str:
    """The address a TCP listener really has, as it stands in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_under_umask(listener: socket.socket, path: str) -> None:
    # The mode is right from the first instant; a chmod after bind() would leave a gap. The umask belongs to
    # the whole process, so sockets are bound before any thread starts to make files.
    before = os.umask(_UMASK)
    try:
        listener.bind(path)
    finally:
        os.umask(before)


def _clear_stale(path: str) -> None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        what = "a symlink" if stat.S_ISLNK(kind) else "not a socket"
        raise CannotListen(f"{path} is {what}: remove it, or choose another --run-dir")
    os.unlink(path)


def _group_id(group: str | None) -> int:
    """The group's number; root's where there is no such group, so that nobody else gets in."""
    try:
        return 0 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        return 0
