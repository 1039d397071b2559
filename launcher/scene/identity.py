"""Who a program runs as: `uid[:gid]` or names looked up in the container's own /etc/passwd and /etc/group.

The files are the container's, so they are read as data: regular files only, bounded, never through libc's
resolver.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, NamedTuple

from launcher import syscalls

LARGEST_FILE_BYTES: Final = 1 << 20


class Identity(NamedTuple):
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class Account(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


def parse_passwd(text: str) -> list[Account]:
    """Lines `name:x:uid:gid:gecos:home:shell`; damaged lines are passed over, as libc does."""
    accounts = []
    for line in text.splitlines():
        field = line.split(":")
        if len(field) >= 6 and _is_id(field[2]) and _is_id(field[3]):
            accounts.append(Account(field[0], int(field[2]), int(field[3]), field[5]))
    return accounts


def parse_group(text: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Lines `name:x:gid:member,member`."""
    groups = []
    for line in text.splitlines():
        field = line.split(":")
        if len(field) >= 4 and _is_id(field[2]):
            groups.append((field[0], int(field[2]), tuple(filter(None, field[3].split(",")))))
    return groups


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32 - 1


def resolve_identity(user: str, passwd: str, group: str) -> Identity:
    """Raises OSError(EINVAL) with the name that is not in the files."""
    wanted_user, _, wanted_group = user.partition(":")
    accounts = parse_passwd(passwd)
    if _is_id(wanted_user):
        account = next((a for a in accounts if a.uid == int(wanted_user)), None)
        account = account or Account("", int(wanted_user), 0, "/root" if int(wanted_user) == 0 else "/")
    else:
        found = next((a for a in accounts if a.name == wanted_user), None)
        if found is None:
            raise OSError(errno.EINVAL, "is not in the container's /etc/passwd", wanted_user)
        account = found
    groups = parse_group(group)
    if not wanted_group:
        members = tuple(gid for _, gid, names in groups if account.name and account.name in names)
        return Identity(account.uid, account.gid, members, account.home or "/")
    if _is_id(wanted_group):
        return Identity(account.uid, int(wanted_group), (), account.home or "/")
    for name, gid, _members in groups:
        if name == wanted_group:
            return Identity(account.uid, gid, (), account.home or "/")
    raise OSError(errno.EINVAL, "is not in the container's /etc/group", wanted_group)


def read_identity(root_fd: int, user: str) -> Identity:
    """Look `user` up in the files below root_fd."""
    return resolve_identity(user, _read_in_root(root_fd, b"etc/passwd"), _read_in_root(root_fd, b"etc/group"))


def _read_in_root(root_fd: int, path: bytes) -> str:
    """Empty where the file is missing or is anything but a regular file."""
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    try:
        fd = syscalls.openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, resolve)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, LARGEST_FILE_BYTES).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)
