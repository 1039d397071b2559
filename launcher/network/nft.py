"""libnftables, which turns the text of rules into one transaction of the kernel: all of it, or nothing.

The rules stay readable that way, and need no program to be started. The library is loaded when the first
container with a network is launched; a host without it has no bridge networks, and `doctor` says so.
"""

from __future__ import annotations

import ctypes
import socket
import threading
from typing import Final

from launcher.network.errors import NetworkUnavailable

LIBRARY: Final = "libnftables.so.1"
NETLINK_NETFILTER: Final = 12


class RulesRefused(Exception):
    """The kernel, or the library, did not take the text; nothing of it is in force."""


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise NetworkUnavailable(
            f"bridge networks need {LIBRARY}: apt-get install libnftables1, or what holds it here"
        ) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


def _refuse_kernel_without_netfilter() -> None:
    """The library ends the whole process where it cannot open this socket: exit(NFT_EXIT_NONL), status 3."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER).close()
    except OSError as e:
        raise NetworkUnavailable(f"bridge networks need nf_tables in the kernel: {e.strerror}") from None


class Nft:
    """One context of the library, used by one thread at a time; it works on the namespace of that thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library = _load()
        _refuse_kernel_without_netfilter()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(ctypes.c_uint32(0)))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> str:
        """Apply, or list; what was printed. Raises RulesRefused with the library's own words."""
        with self._lock:
            failed = self._library.nft_run_cmd_from_buffer(self._context, ctypes.c_char_p(text.encode()))
            printed = self._library.nft_ctx_get_output_buffer(self._context) or b""
            errors = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise RulesRefused(_first_line(errors.decode(errors="replace")))
        return str(printed.decode(errors="replace"))

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)


def _first_line(errors: str) -> str:
    """`<cmdline>:1:1-2: Error: No such file or directory` -> the part that people read."""
    line = errors.strip().splitlines()[0] if errors.strip() else "no reason given"
    return line.partition("Error: ")[2] or line
