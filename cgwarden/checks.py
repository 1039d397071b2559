"""One line of `doctor`'s report, as everybody who adds to it writes it."""

from __future__ import annotations

Check = dict[str, str]


def make_check(name: str, state: str, detail: str, advice: str = "", section: str = "") -> Check:
    """`state` is ok, degraded (works with less) or missing (does not work); in a section, what it says there.

    `advice` is what to do about it; lines of one `section` stand together, those without one first.
    """
    return {"section": section, "name": name, "state": state, "detail": detail, "advice": advice}
