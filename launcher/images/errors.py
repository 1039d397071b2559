"""What the image store refuses or fails at: one clear sentence each, as everywhere in the launcher."""

from __future__ import annotations

from launcher.errors import BadSpec, LauncherError


class BadReference(BadSpec):
    """A name of an image that cannot be one."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__("image", f"{text[:80]!r} is not a reference to an image: {why}")


class UnknownImage(LauncherError):
    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no image {reference!r} here; pull or import it first")
        self.reference = reference


class AmbiguousImage(LauncherError):
    def __init__(self, text: str, count: int) -> None:
        super().__init__(f"{text!r} is the beginning of {count} image ids; give more of it")


class ImageInUse(LauncherError):
    def __init__(self, reference: str, users: str) -> None:
        super().__init__(
            f"image {reference!r} is used by {users}; remove that first, or use force to take "
            "away only the name"
        )


class BadImage(LauncherError):
    """An archive, a layout, a manifest or a layer that is damaged, or that is none."""


class DigestMismatch(BadImage):
    """The bytes are not those that the digest promised."""

    def __init__(self, what: str, wanted: str, found: str) -> None:
        super().__init__(f"{what} is damaged or was changed: its digest is {found}, not {wanted}")


class OverLimit(BadImage):
    """An archive that is larger, in some measure, than what is unpacked here."""


class TooManyEntries(OverLimit):
    def __init__(self, most: int) -> None:
        super().__init__(f"there are more than {most} entries in it, the limit")


class MissingFile(LauncherError):
    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")


class PullFailed(LauncherError):
    """The registry, or the way there."""


class NoSkopeo(LauncherError):
    def __init__(self) -> None:
        super().__init__(
            "cannot pull: skopeo is not installed on this host (apt-get install skopeo); `image import` "
            "works without it"
        )
