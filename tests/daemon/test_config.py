"""The configuration: what wins, and one clear line for what cannot be used."""

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgwarden.config import Config, ConfigError, parse_duration, parse_listen, read_config


def write(path: pathlib.Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_a_file_the_defaults_hold() -> None:
    assert read_config(None, {}, {}) == Config()


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: pathlib.Path) -> None:
    file = write(
        tmp_path / "c.toml", '[daemon]\nrun_dir = "/run/file"\nstate_dir = "/file"\npolicy_dir = "/file"\n'
    )
    environ = {"CGWARDEN_STATE_DIR": "/environ", "CGWARDEN_POLICY_DIR": "/environ"}

    config = read_config(file, {"policy_dir": "/flag", "listen": None}, environ)

    assert (config.run_dir, config.state_dir, config.policy_dir) == ("/run/file", "/environ", "/flag")


def test_a_drop_in_is_read_after_the_main_file(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "c.toml", '[monitor]\ninterval = "1s"\nrings = "5m"\n')
    (tmp_path / "conf.d").mkdir()
    write(tmp_path / "conf.d" / "10.toml", '[monitor]\ninterval = "500ms"\n')

    config = read_config(file, {}, {})

    assert (config.interval_sec, config.history_sec) == (0.5, 300.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[daemon]\n\nrun_dirr = "/x"\n', ":3: daemon.run_dirr: unknown key (did you mean daemon.run_dir?)"),
        ("[web]\nlisten = 9380\n", ":2: web.listen: must be a list of texts"),
        ('[monitor]\ninterval = "10"\n', ":2: monitor.interval: '10' is not a duration"),
        ("[web]\nallow_plain_http = 1\n", ":2: web.allow_plain_http: must be true or false"),
        ("[daemon\n", "cannot be read as TOML"),
        ("listen = 1\n", ":1: listen: keys belong into a [section]"),
        ('[daemon]\nrun_dir = "relative"\n', "run_dir 'relative' is not an absolute path"),
        ('[daemon]\ncgroup_parent = "../x"\n', "cgroup parent '../x' is not a name"),
        ('[monitor]\ninterval = "1ms"\n', "out of range"),
        ('[network]\npool = "10.88.0.1/16"\n', "network pool '10.88.0.1/16' is no network"),
        ('[network]\npool = "10.0.0.0/31"\n', "has an unfit size: use /8 to /30"),
        ("[network]\nprepared = 1000\n", "network.prepared 1000 is out of range"),
        ('[cgroups]\nmount_net = "yes"\n', ":2: cgroups.mount_net: must be true or false"),
        ("[images]\nlayer_bytes = 10\n", "images.layer_bytes and images.entries are too small"),
        ('[images]\nentries = "many"\n', ":2: images.entries: must be a whole number"),
        ('[network]\nprepared = "4"\nuplinks = "eth0"\n', ":3: network.uplinks: must be a list of texts"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path: pathlib.Path, text: str, says: str) -> None:
    file = write(tmp_path / "c.toml", text)

    with pytest.raises(ConfigError) as refused:
        read_config(file, {}, {})

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_named_file_must_exist() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_config("/nonexistent/cgwarden.toml", {}, {})


def test_an_address_beyond_loopback_needs_consent() -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        read_config(None, {"listen": "0.0.0.0:9380"}, {})

    assert read_config(None, {"listen": "0.0.0.0:9380", "allow_plain_http": True}, {}).listen == (
        "0.0.0.0:9380",
    )


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("127.0.0.1:9380", ("127.0.0.1", 9380)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_an_address_is_host_and_port(text: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(text) == parsed


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        host, port = parse_listen(text)
    except ConfigError:
        return
    assert host
    assert 0 <= port <= 65_535


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except ValueError:
        return
