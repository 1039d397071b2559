"""What other kernels print, understood: the table in formats/, a test per row."""

from __future__ import annotations

import pytest

from cgroupfs.cpu import make_usage_parser
from cgroupfs.statistic import MOST_LAYOUTS
from tests.cgroupfs.formats import FORMATS
from tests.cgroupfs.formats.form import Format
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.kernel} {form.parser}: {form.seen}")
def test_every_kernel_is_understood(form: Format) -> None:
    parse = TARGETS[form.parser].make()

    assert parse(form.text.encode()) == form.value


def test_no_layout_is_kept_for_every_kernel_there_could_be() -> None:
    parse = make_usage_parser()
    text = "usage_usec 3\nuser_usec 2\nsystem_usec 1\n"

    for more in range(2 * MOST_LAYOUTS):
        assert parse((text + "".join(f"key{n} 0\n" for n in range(more))).encode()) == (3, 2, 1)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.kernel} {form.parser}: {form.seen}")
def test_a_parser_that_has_seen_other_kernels_understands_the_next(form: Format) -> None:
    parse = TARGETS[form.parser].make()
    others = [other for other in FORMATS if other.parser == form.parser]

    for other in others:
        assert parse(other.text.encode()) == other.value
    assert parse(form.text.encode()) == form.value
