"""Owner, mode and extended attributes of what was unpacked: which are taken over, and in which order."""

from __future__ import annotations

import errno
import os
from typing import Final

from launcher.images.tarball import Entry

_LARGEST_XATTR_BYTES: Final = 1 << 16
_KEPT_XATTRS: Final = (b"user.", b"security.capability", b"system.posix_acl_")
# Read by overlay itself where it is mounted in a user namespace.
_OVERLAY_XATTRS: Final = b"user.overlay."


def set_owner_mode(fd: int, entry: Entry) -> int:
    """In this order: a new owner takes set-id bits and capabilities away. Returns how many were dropped."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    dropped = 0
    for key, value in entry.xattrs.items():
        dropped += not _set_xattr(fd, key, value)
    return dropped


def _set_xattr(fd: int, key: bytes, value: bytes) -> bool:
    if (
        not key.startswith(_KEPT_XATTRS)
        or key.startswith(_OVERLAY_XATTRS)
        or len(value) > _LARGEST_XATTR_BYTES
    ):
        return False
    try:
        os.setxattr(fd, key, value)
    except OSError as e:
        # The file system has none of that kind, or the value is none that the kernel takes.
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE):
            raise
        return False
    return True
