"""Counters of all network interfaces from one netlink dump: one call for any number of containers.

The host's end of a container's veth pair is its mirror: what the host end receives, the container has sent.
So one dump in the host's namespace tells the traffic of every container on a bridge.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from cgroupfs.net import InterfaceCounters
from cgroupfs.net_messages import (
    HEADER,
    STATS_LINK_64,
    Link,
    mirror,
    parse_link,
    parse_namespace_id,
    parse_stats,
    split_messages,
)

_GETLINK, _NEWLINK, _GETNSID, _NEWNSID, _GETSTATS, _NEWSTATS = 18, 16, 90, 88, 94, 92
_ERROR, _DONE = 2, 3
_REQUEST, _REQUEST_DUMP = 0x1, 0x301
_NSID_OF_PID: Final = 2
RECEIVE_BYTES: Final = 1 << 18


class HostEnd(NamedTuple):
    """The host's end of a container's pair, and what the container calls its own."""

    ifindex: int
    name_inside: str


class LinkDump:
    """A netlink socket in the namespace of the thread that made it, kept for one dump after another."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.bind((0, 0))
        except OSError:
            self._socket.close()
            raise
        self._sequence = 0

    def read_links(self) -> dict[int, Link]:
        """Every interface with name, peer and counters; for the slower round, as it tells much else too."""
        request = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
        links = (parse_link(body) for body in self._ask(_GETLINK, request, _NEWLINK))
        return {link.ifindex: link for link in links}

    def read_counters(self, names: Mapping[int, str]) -> dict[int, InterfaceCounters]:
        """The counters alone of the interfaces in `names`, which this dump does not tell; far cheaper.

        The kernel has it since 4.7; before, `read_links` serves.
        """
        request = struct.pack("=BxHII", socket.AF_UNSPEC, 0, 0, STATS_LINK_64)
        try:
            found = [parse_stats(body, names) for body in self._ask(_GETSTATS, request, _NEWSTATS)]
        except OSError as e:
            if e.errno != errno.EOPNOTSUPP:
                raise
            return {ifindex: link.counters for ifindex, link in self.read_links().items() if ifindex in names}
        return {ifindex: counters for ifindex, counters in found if counters is not None}

    def read_containers(self, ends: Mapping[str, HostEnd]) -> dict[str, InterfaceCounters]:
        """Container -> counters as seen from inside, of one dump; one without its interface is left out."""
        found = self.read_counters({end.ifindex: end.name_inside for end in ends.values()})
        return {
            container: mirror(found[end.ifindex], end.name_inside)
            for container, end in ends.items()
            if end.ifindex in found
        }

    def find_host_ends(self, pids: Mapping[str, int], name_inside: str = "eth0") -> dict[str, HostEnd]:
        """Container -> the pair's end here, found by the namespace of one of its processes."""
        by_namespace = {
            link.peer_namespace: ifindex
            for ifindex, link in self.read_links().items()
            if link.peer_namespace is not None
        }
        namespaces = {container: self._read_namespace_id(pid) for container, pid in pids.items()}
        return {
            container: HostEnd(by_namespace[number], name_inside)
            for container, number in namespaces.items()
            if number in by_namespace
        }

    def close(self) -> None:
        self._socket.close()

    def _read_namespace_id(self, pid: int) -> int | None:
        request = struct.pack("=BxxxHHI", socket.AF_UNSPEC, 8, _NSID_OF_PID, pid)
        try:
            answers = list(self._ask(_GETNSID, request, _NEWNSID, dump=False))
        except OSError as e:
            if e.errno != errno.ESRCH:  # the process is gone
                raise
            return None
        return parse_namespace_id(answers[0]) if answers else None

    def _ask(self, kind: int, request: bytes, answer: int, *, dump: bool = True) -> Iterator[bytes]:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        flags = _REQUEST_DUMP if dump else _REQUEST
        header = HEADER.pack(HEADER.size + len(request), kind, flags, self._sequence, 0)
        self._socket.send(header + request)
        while True:
            # Answers to a dump that was given up half-way carry another number, and are passed over.
            for message, sequence, body in split_messages(self._socket.recv(RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if message == _DONE:
                    return
                if message == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, os.strerror(code))
                if message == answer:
                    yield body
                    if not dump:
                        return


def read_links() -> dict[int, Link]:
    """The interfaces of this thread's namespace, once."""
    with contextlib.closing(LinkDump()) as dump:
        return dump.read_links()
