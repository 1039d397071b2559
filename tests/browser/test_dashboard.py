"""The dashboard in Chromium, against a real daemon: what one sees and does there is what the kernel has."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MIB, OpenPage
from tests.browser.rig import Daemon, eventually, is_frozen, read_kernel

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

# Counts the pixels of a canvas that are near one colour: lines are smoothed, so few are exact.
COUNT_PIXELS = """
([chart, rgb]) => {
  const drawn = document.querySelector(`[data-chart="${chart}"] canvas`);
  const copy = new OffscreenCanvas(drawn.width, drawn.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(drawn, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  let near = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 120 && rgb.every((value, k) => Math.abs(data[i + k] - value) < 40)) near += 1;
  }
  return near;
}
"""
LIMIT_RGB = (0xD5, 0x5E, 0x00)
CPU_RGB = (0x00, 0x72, 0xB2)


def test_the_one_time_link_opens_the_list_and_leaves_no_code_in_the_address(
    open_page: OpenPage, daemon: Daemon
) -> None:
    watched = open_page(daemon.login_link().removeprefix(daemon.address), login=False)

    expect(watched.page.locator("table.containers")).to_be_visible()
    assert "code=" not in watched.page.url
    assert watched.all_complaints() == []


def test_without_a_log_in_the_page_says_how_to_get_one(open_page: OpenPage) -> None:
    watched = open_page(login=False)

    expect(watched.page.get_by_text("cgwarden dashboard")).to_be_visible()
    expect(watched.page.locator("table.containers")).to_have_count(0)


def test_a_used_code_is_refused_in_words_and_a_good_one_typed_in_works(
    open_page: OpenPage, daemon: Daemon
) -> None:
    watched = open_page(login=False)
    page = watched.page
    page.fill("#code", "0" * 20)
    page.click("text=Enter")
    expect(page.get_by_role("alert")).not_to_be_empty()

    page.fill("#code", daemon.login_link())
    page.click("text=Enter")

    expect(page.locator("table.containers")).to_be_visible()


def test_every_container_stands_in_the_list_with_its_numbers(open_page: OpenPage, daemon: Daemon) -> None:
    watched = open_page()
    row = watched.page.locator("table.containers tbody tr", has_text="busy")

    expect(watched.page.locator("table.containers tbody tr")).to_have_count(3)
    expect(row.locator(".col-state")).to_have_text("running")
    expect(row.locator(".col-memory")).to_contain_text("of 64 MiB")
    expect(row.locator(".col-cpu")).to_contain_text("of 0.30")
    expect(row.locator(".col-cpu polyline")).to_have_count(1)
    expect(watched.page.locator(".band")).to_contain_text("CPU")
    assert watched.all_complaints() == []


def test_the_list_is_driven_by_keys(open_page: OpenPage) -> None:
    page = open_page().page
    rows = page.locator("table.containers tbody tr")
    expect(rows).to_have_count(3)

    page.keyboard.press("/")
    page.keyboard.type("team=core")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("busy")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("freeze or thaw")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.locator("h1")).to_have_text("Events")


def test_the_charts_draw_and_the_limit_is_a_line_on_them(open_page: OpenPage) -> None:
    watched = open_page("#/c/busy")
    page = watched.page
    expect(page.locator("[data-chart]")).to_have_count(4)  # no network: no chart of it
    page.click("text=1 min")

    eventually(lambda: page.evaluate(COUNT_PIXELS, ["cpu", CPU_RGB]) > 20, "the cpu line is drawn")
    eventually(lambda: page.evaluate(COUNT_PIXELS, ["cpu", LIMIT_RGB]) > 20, "the cpu limit is drawn")
    expect(page.locator("[data-chart=cpu]").locator("xpath=..").locator(".legend .limit dd")).to_have_text(
        "0.30"
    )
    assert watched.all_complaints() == []


def test_what_a_container_writes_is_text_and_never_markup(open_page: OpenPage) -> None:
    watched = open_page("#/c/busy")

    expect(watched.page.locator(".log pre")).to_contain_text("<img src=x onerror=alert(1)>")
    assert watched.page.locator(".log img").count() == 0
    assert watched.all_complaints() == []


def test_the_freeze_button_freezes_in_the_kernel_and_thaw_ends_it(
    open_page: OpenPage, daemon: Daemon
) -> None:
    watched = open_page("#/c/busy")
    page = watched.page
    cgroups = daemon.inspect("busy")["cgroups"]

    page.click("[data-action=freeze]")
    expect(page.locator(".container-head .state")).to_have_text("frozen")
    assert is_frozen(cgroups)
    page.click("[data-action=thaw]")
    expect(page.locator(".container-head .state")).to_have_text("running")

    assert not is_frozen(cgroups)
    expect(page.locator(".lane .mark.tone-cold")).to_have_count(2)
    assert watched.all_complaints() == []


def test_the_limits_dialog_shows_the_writes_first_and_then_the_kernel_has_them(
    open_page: OpenPage, daemon: Daemon
) -> None:
    watched = open_page("#/c/idle")
    page = watched.page
    memory = daemon.inspect("idle")["cgroups"]["memory"]
    file = "memory.max" if _exists(memory, "memory.max") else "memory.limit_in_bytes"

    page.click("[data-action=limit]")
    page.fill("#limit-memory_max_bytes", "48M")
    expect(page.locator(".preview")).to_contain_text(str(48 * MIB))
    assert read_kernel(memory, file) == str(32 * MIB)
    page.click("button.primary")
    expect(page.get_by_role("dialog")).to_have_count(0)

    assert read_kernel(memory, file) == str(48 * MIB)
    expect(page.locator(".facts.limits")).to_contain_text("48 MiB")
    expect(page.locator(".story")).to_contain_text("32 → 48 MiB")
    assert watched.all_complaints() == []


def test_a_value_that_is_none_is_refused_before_it_is_sent(open_page: OpenPage) -> None:
    page = open_page("#/c/idle").page

    page.click("[data-action=limit]")
    page.fill("#limit-memory_max_bytes", "lots")

    expect(page.locator("#about-memory_max_bytes")).to_contain_text("64M")
    expect(page.locator("button.primary")).to_be_disabled()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "narrow"])
def test_every_page_fits_and_complains_of_nothing(open_page: OpenPage, dark: bool, width: int) -> None:
    watched = open_page(width=width, dark=dark)
    for hash, selector in [
        ("#/", "table.containers"),
        ("#/c/busy", ".u-over"),
        ("#/events", ".events"),
        ("#/decisions", "h1"),
    ]:
        watched.page.goto(watched.page.url.partition("#")[0] + hash)
        expect(watched.page.locator(selector).first).to_be_visible()
        assert _overflow(watched.page) <= 0, f"{hash} is wider than the window"

    light = (
        watched.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(247, 247, 245)"
    )
    assert light is not dark
    assert watched.all_complaints() == []


def test_an_unknown_container_gets_a_page_that_says_so(open_page: OpenPage) -> None:
    expect(open_page("#/c/nobody").page.locator(".empty")).to_contain_text("No container “nobody”")


def test_one_that_ended_tells_its_exit_code_and_the_limits_it_had(open_page: OpenPage) -> None:
    watched = open_page("#/c/over")

    expect(watched.page.locator(".container-head .state")).to_have_text("exited, exit code 3")
    expect(watched.page.locator(".facts.limits")).to_contain_text("16 MiB")
    expect(watched.page.locator("[data-action=freeze]")).to_be_disabled()
    assert watched.all_complaints() == []


def test_a_daemon_that_is_gone_is_told_and_its_return_too(open_page: OpenPage, second_daemon: Daemon) -> None:
    page = open_page(at=second_daemon).page
    expect(page.locator(".empty")).to_contain_text("No containers yet")

    second_daemon.stop()
    expect(page.get_by_role("alert")).to_contain_text("Disconnected", timeout=10_000)
    second_daemon.start()
    # Log-ins end with the daemon that gave them.
    expect(page.get_by_text("cgwarden dashboard")).to_be_visible(timeout=10_000)
    second_daemon.stop()


def _overflow(page: Page) -> int:
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


def _exists(directory: str, file: str) -> bool:
    try:
        read_kernel(directory, file)
    except FileNotFoundError:
        return False
    return True
