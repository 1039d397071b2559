"""The text that Prometheus reads, written by hand: an order of magnitude faster than the client library's own."""

from collections.abc import Iterable
from typing import Final

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Page:
    """A page of metric families; a family without a sample leaves no trace."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, about: str, samples: Iterable[tuple[str, float | int]]) -> None:
        """Add one family; each sample is its label string (empty, or without the braces) and its value."""
        lines = [f"{name}{{{labels}}} {number(value)}" for labels, value in samples]
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


def number(value: float | int) -> str:
    """A value as Prometheus reads it: whole numbers whole, floats exact."""
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def label_text(**labels: str) -> str:
    """`name="value",...` with the values escaped; the caller keeps it for the next time."""
    return ",".join(f'{name.rstrip("_")}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    """A label value as it stands between quotes."""
    return value.translate(_ESCAPES)
