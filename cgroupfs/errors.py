"""All that can go wrong with a cgroup, each as one clear line: callers catch by kind and print it."""

from __future__ import annotations

import errno as errno_names


class CgroupError(Exception):
    """Whatever this layer raises; ``str()`` is always one line that a user may see."""


class CgroupGone(CgroupError):
    """The cgroup was removed; a namesake made later is another cgroup."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: the cgroup is gone")
        self.path = path


class NotOffered(CgroupError):
    """The kernel has no such file in this cgroup."""

    def __init__(self, path: str, file: str) -> None:
        super().__init__(f"{path}: this kernel does not offer {file} here")
        self.path = path
        self.file = file


class NotMounted(NotOffered):
    """The kernel has the controller, but its hierarchy is not mounted, or this cgroup is not in it."""

    def __init__(self, path: str, file: str, why: str) -> None:
        CgroupError.__init__(self, f"{path}: {why}")
        self.path = path
        self.file = file


class ParseError(CgroupError):
    """A kernel file holds something that its parser does not know."""

    def __init__(self, what: str, text: str | bytes) -> None:
        """`what` names the file, `text` is what it held; only the start of it is shown."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{what}: cannot make sense of {shown!r}")
        self.what = what
        self.text = text


class Refused(CgroupError):
    """The kernel did not take a value; says which, why, and what would work."""

    def __init__(self, path: str, file: str, value: str, errno: int, why: str) -> None:
        code = errno_names.errorcode.get(errno, str(errno))
        wish = f"{value!r} for {file}" if value else file
        super().__init__(f"{path}: the kernel refused {wish} ({code}): {why}")
        self.path = path
        self.file = file
        self.value = value
        self.errno = errno
        self.why = why


class HalfApplied(CgroupError):
    """A plan failed half-way, and the kernel did not take back all that had been written."""


class FreezeTimeout(CgroupError):
    """A freeze or thaw did not finish in time; a freeze has been taken back."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class NoCgroups(CgroupError):
    """The host has no cgroups that this program can drive."""


class BadLimit(CgroupError):
    """A wish that no kernel could take, found before anything was written."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why
