"""Container names: checked before they are put into a URL, so a bad one never reaches the daemon."""

from __future__ import annotations

from cgwarden.cli.options import UsageError

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")
LONGEST = 63


def check_name(name: str) -> str:
    """`name`, or UsageError that quotes it and says what a name looks like."""
    if not name:
        raise UsageError(
            "the container's name is empty; use letters, digits, _ . - (a letter or digit first)"
        )
    if len(name) > LONGEST:
        raise UsageError(f"the name {name[:24]!r}… has {len(name)} characters; at most {LONGEST} are allowed")
    if name[0] not in _FIRST or not _REST.issuperset(name):
        raise UsageError(
            f"{name!r} is not a container name; use letters, digits, _ . - (a letter or digit first)"
        )
    return name


def container_path(name: str, *parts: str) -> str:
    """The URL path of a container or of something below it."""
    return "/".join(("/api/v1/containers", check_name(name), *parts))
