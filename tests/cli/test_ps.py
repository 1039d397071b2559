"""The list: times read without datetime, which would cost a hot verb more than all its work; ports."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from cgwarden.cli.ps import _network, seconds_of


@given(
    st.datetimes(
        datetime.datetime(1970, 1, 1), datetime.datetime(2199, 12, 31), timezones=st.just(datetime.UTC)
    )
)
def test_every_utc_time_is_read_as_datetime_reads_it(moment: datetime.datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    expected = datetime.datetime.fromisoformat(text).timestamp()
    assert abs(seconds_of(text) - expected) < 0.001


def test_published_ports_are_shown_as_they_lead_in() -> None:
    port = {"host_ip": "", "host_port": 8080, "container_port": 80, "protocol": "tcp"}
    inner = port | {"host_ip": "127.0.0.1", "protocol": "udp"}
    net = {"address": "10.88.0.2", "ports": [port, inner]}

    assert _network({"net": net}) == ("10.88.0.2", "8080>80/tcp 127.0.0.1:8080>80/udp")
    assert _network({"net": None}) == ("-", "-")
