"""Times of the API read without datetime, which would cost a hot verb more than the rest of its work."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from cgwarden.cli.ps import seconds_of


@given(
    st.datetimes(
        datetime.datetime(1970, 1, 1), datetime.datetime(2199, 12, 31), timezones=st.just(datetime.UTC)
    )
)
def test_every_utc_time_is_read_as_datetime_reads_it(moment: datetime.datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    expected = datetime.datetime.fromisoformat(text).timestamp()
    assert abs(seconds_of(text) - expected) < 0.001
