"""AppArmor for real: needs a kernel that has it, which the guest's has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import BadSpec, Container, Launcher, apparmor

pytestmark = [pytest.mark.kernel, pytest.mark.host_has("apparmor")]

Run = Callable[..., Container]
Output = Callable[..., list[str]]
PROFILE = "cgwtest-no-secrets"


@pytest.fixture
def profile() -> Iterator[str]:
    """A profile of the test's own: everything, except a look into /secret."""
    # Attached: a container's output leads to pipes of the host's, which lie outside its own mounts.
    rules = "file, network, capability, signal, deny /secret r,"
    apparmor.load(f"profile {PROFILE} flags=(attach_disconnected) {{ {rules} }}")
    yield PROFILE
    Path("/sys/kernel/security/apparmor/.remove").write_text(PROFILE)


def label_of(container: Container) -> str:
    return Path(f"/proc/{container.pid}/attr/current").read_text().strip()


def test_a_container_gets_our_own_profile_and_exec_the_same(run: Run, launcher: Launcher) -> None:
    container = run("sleep 60")

    assert label_of(container) == "cgwarden-default (enforce)"
    session = launcher.exec("t", ["cat", "/proc/self/attr/current"])
    assert [data for _stream, data in session] == [b"cgwarden-default (enforce)\n"]


def test_our_profile_denies_what_the_other_layers_would_have_let_through(output: Output) -> None:
    mount = "mount -t tmpfs none /tmp 2>/dev/null; echo $?"
    given = {"cap_add": ["SYS_ADMIN"], "seccomp": "unconfined"}

    assert output(mount, apparmor="unconfined", **given) == ["0"]
    assert output(mount, **given) != ["0"]


def test_a_profile_of_the_hosts_is_applied_and_denies(
    output: Output, busybox_root: Path, profile: str
) -> None:
    secret = busybox_root / "secret"
    secret.write_text("not for you\n")
    try:
        assert output("cat /secret", apparmor=profile) == ["cat: can't open '/secret': Permission denied"]
        assert output("cat /secret") == ["not for you"]
    finally:
        secret.unlink()


def test_the_supervisor_may_still_stop_it(run: Run, launcher: Launcher) -> None:
    run("trap 'exit 7' TERM; while :; do sleep 0.1; done", stop_timeout_sec=20)

    launcher.stop("t")

    assert launcher.wait("t", 20) == 7


def test_a_profile_that_is_not_loaded_is_refused_by_name(run: Run, launcher: Launcher) -> None:
    with pytest.raises(BadSpec, match="apparmor: no profile 'ghost' is loaded on this host"):
        run("true", apparmor="ghost")
    assert launcher.containers() == ()


def test_a_profile_is_kept_through_the_programs_children(output: Output) -> None:
    assert output("sh -c 'cat /proc/self/attr/current'") == ["cgwarden-default (enforce)"]
