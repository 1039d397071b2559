"""What other kernels print, understood: the table in formats/, a test per row."""

from __future__ import annotations

import pytest

from tests.cgroupfs.formats import FORMATS
from tests.cgroupfs.formats.form import Format
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.kernel} {form.parser}: {form.seen}")
def test_every_kernel_is_understood(form: Format) -> None:
    parse = TARGETS[form.parser].make()

    assert parse(form.text.encode()) == form.value


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.kernel} {form.parser}: {form.seen}")
def test_a_parser_that_has_seen_other_kernels_understands_the_next(form: Format) -> None:
    parse = TARGETS[form.parser].make()
    others = [other for other in FORMATS if other.parser == form.parser]

    for other in others:
        assert parse(other.text.encode()) == other.value
    assert parse(form.text.encode()) == form.value
