"""What the launcher refuses or fails at, each as one clear sentence for the person who asked."""

from __future__ import annotations

from collections.abc import Sequence


class LauncherError(Exception):
    """`str(e)` is always one line that names the thing and says what is wrong with it."""


class UnknownContainer(LauncherError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no container {name!r}")
        self.name = name


class UnknownGroup(LauncherError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no group {name!r}")
        self.name = name


class GroupInUse(LauncherError):
    """Ended containers count too: they would be started again in it."""

    def __init__(self, name: str, inside: Sequence[str]) -> None:
        shown = ", ".join(inside[:5]) + (", …" if len(inside) > 5 else "")
        super().__init__(f"group {name!r} has containers ({shown}); remove them first")
        self.name = name


class UnknownVolume(LauncherError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no volume {name!r}")
        self.name = name


class VolumeInUse(LauncherError):
    """Ended containers count too: they would be started again with it."""

    def __init__(self, name: str, users: Sequence[str]) -> None:
        shown = ", ".join(users[:5]) + (", …" if len(users) > 5 else "")
        super().__init__(f"volume {name!r} is mounted by containers ({shown}); remove them first")
        self.name = name


class NameTaken(LauncherError):
    def __init__(
        self, name: str, why: str = "a container of that name exists; remove it or choose another"
    ) -> None:
        super().__init__(f"the name {name!r} is taken: {why}")
        self.name = name


class BadSpec(LauncherError):
    """A wish that cannot be meant; found before anything was made."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class TooLittleMemory(BadSpec):
    """The first process was killed before it could become the program."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            "limits.memory_max_bytes",
            f"{limit_bytes} is too little to start a program: it was killed for want of memory; "
            "give at least 1 MiB",
        )


class MissingRoot(LauncherError):
    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"root directory {path}: {why}")
        self.path = path


class CannotInvoke(LauncherError):
    """The program is there and cannot be executed (shells say 126)."""

    exit_code = 126

    def __init__(self, command: str, why: str) -> None:
        super().__init__(f"cannot run {command!r}: {why}")
        self.command = command


class CommandNotFound(LauncherError):
    """No such program inside the container (shells say 127)."""

    exit_code = 127

    def __init__(self, command: str, why: str = "no such program inside the container") -> None:
        super().__init__(f"cannot find {command!r}: {why}")
        self.command = command


class NotRunning(LauncherError):
    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"container {name!r} is not running (it is {state})")
        self.name = name
        self.state = state


class StillRunning(LauncherError):
    def __init__(self, name: str) -> None:
        super().__init__(f"container {name!r} is still running; stop it first, or remove it with force")
        self.name = name


class ContainerFrozen(LauncherError):
    def __init__(self, name: str) -> None:
        super().__init__(f"container {name!r} is frozen; thaw it first")
        self.name = name


class SupervisorLost(LauncherError):
    """The container runs on, but the process that could start more programs in it is gone."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"container {name!r} has lost its supervisor: it runs on and can be limited, stopped and "
            "removed, but nothing more can be started in it"
        )
        self.name = name


class StopTimeout(LauncherError):
    """All its processes are gone, and the one beside them that records the end has not done so."""

    def __init__(self, name: str, timeout_sec: float) -> None:
        super().__init__(
            f"container {name!r} was killed, but its supervisor has not answered for {timeout_sec:g} s"
        )
        self.name = name
        self.timeout_sec = timeout_sec


class CannotCopy(LauncherError):
    """What the process that copies in and out of a container has said."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"cannot copy in or out of container {name!r}: {why}")
        self.name = name
        self.why = why


class CannotCommit(LauncherError):
    """There is no image that this container's changes could be a layer of, or it is not there to be read."""


class LaunchFailed(LauncherError):
    """A step between the intent and the running program failed; everything made so far was undone."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"launch failed while trying to {step}: {why}")
        self.step = step
        self.why = why


class MountInTheWay(LauncherError):
    """Something is mounted in a directory that was to be removed; what is mounted there was not touched."""

    def __init__(self, path: str) -> None:
        super().__init__(f"something is mounted at {path}: nothing was removed through it; unmount it first")
        self.path = path
