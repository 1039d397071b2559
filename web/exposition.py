"""The text that Prometheus reads, written by hand: ten times as fast as the client library's own."""

from collections.abc import Iterable
from typing import Final, TypeAlias

Samples: TypeAlias = Iterable[tuple[str, float | int | str]]
"""Each a label string (`name="value",...`, or empty) and a value, which as text may also be `+Inf`."""

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Page:
    """A page of metric families; a family without a sample leaves no trace."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, about: str, samples: Samples) -> None:
        """Add one family."""
        lines = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples]
        if lines:
            self._lines += (f"# HELP {name} {about}", f"# TYPE {name} {kind}")
            self._lines += lines

    def gauge(self, name: str, about: str, value: float | int | None, labels: str = "") -> None:
        """One gauge, unless it is absent."""
        self.family(name, "gauge", about, [] if value is None else [(labels, value)])

    def counter(self, name: str, about: str, value: float | int | None, labels: str = "") -> None:
        """One counter, unless it is absent."""
        self.family(name, "counter", about, [] if value is None else [(labels, value)])

    def append(self, text: str) -> None:
        """Families that somebody else has rendered."""
        self._lines += text.splitlines()

    def encode(self) -> bytes:
        """The page as it is sent."""
        return "\n".join([*self._lines, ""]).encode("utf-8", "backslashreplace")


def label_text(**labels: str) -> str:
    """`name="value",...` with the values escaped; the caller keeps it for the next time."""
    return ",".join(f'{name.rstrip("_")}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    """A label value as it stands between quotes."""
    return value.translate(_ESCAPES)
