"""Who reads the page: with a keyboard, a screen reader, a phone, in the dark, far away."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import Served
from tests.server.page.looking import Look

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Response


pytestmark = pytest.mark.process


VIEWS = ("topology", "tasks", "stores", "stores/minutes", "windows", "dead-letters", "history", "config")


def test_nobody_else_is_asked_and_little_is_fetched(browser: "Browser", shop: Served) -> None:
    answers: list[Response] = []
    with Look.at(browser, shop.url) as look:
        look.page.on("response", lambda answer: answers.append(answer))
        for view in VIEWS:
            look.open(view)
        assert [each for each in look.requests if not each.startswith(f"{shop.url}/")] == []
        assert look.problems == []
        sizes = {each.url: len(each.body()) for each in answers}
    assert 0 < sum(sizes.values()) < 300_000


def test_first_paint_is_under_a_second(browser: "Browser", shop: Served) -> None:
    paints = []
    for _ in range(3):  # the machine may have other work: the quickest of three new visitors counts
        with Look.at(browser, shop.url) as look:
            look.open("topology")
            paints.append(
                look.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
    assert min(paints) < 1000


@pytest.mark.parametrize("view", VIEWS)
def test_phone_has_nothing_to_scroll_sideways(browser: "Browser", shop: Served, view: str) -> None:
    with Look.at(browser, shop.url, width=375, height=740) as look:
        page = look.open(view)
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        assert look.problems == []


@pytest.mark.parametrize("is_dark", [False, True])
def test_text_stands_out_in_light_and_dark(browser: "Browser", shop: Served, is_dark: bool) -> None:
    grounds = set()
    with Look.at(browser, shop.url, dark=is_dark) as look:
        for view in VIEWS:
            page = look.open(view)
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            assert look.check("faint_texts") == []
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(15, 19, 23)" if is_dark else "rgb(246, 247, 248)"}


def test_screen_reader_finds_landmarks_headings_and_names(look: Look) -> None:
    for view in VIEWS:
        page = look.open(view)
        for role in ("banner", "main", "contentinfo"):
            assert page.get_by_role(role).count() == 1
        assert page.get_by_role("navigation", name="Views").count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.get_by_role("link", name="Topology", exact=True).count() == 1
        assert look.check("nameless_controls") == []
        assert page.locator("html").get_attribute("lang") == "en"
        for table in page.get_by_role("table").all():
            assert table.get_by_role("columnheader").count() > 1
    assert look.open("windows").locator("[aria-current='page']").inner_text() == "Windows"


def _focused(look: Look) -> dict[str, Any]:
    found: dict[str, Any] = look.page.evaluate(
        """() => {
            const at = document.activeElement, style = getComputedStyle(at);
            const rect = at.querySelector?.('rect');
            const isSeen = style.outlineStyle !== 'none' || (rect && getComputedStyle(rect).strokeWidth === '3px');
            return { text: at.ariaLabel ?? at.textContent.trim(), is_seen: Boolean(isSeen) };
        }"""
    )
    return found


def test_keyboard_reaches_all_and_is_seen(look: Look) -> None:
    page = look.open("topology")
    texts = []
    for _ in range(40):
        page.keyboard.press("Tab")
        found = _focused(look)
        assert found["is_seen"], found
        texts.append(found["text"])
        if found["text"].startswith("mapvalues · with_tax()"):
            break
    views = ["Topology", "Tasks", "Stores", "Windows", "Dead letters", "Last hour", "Configuration"]
    assert texts[:8] == ["Skip to the view", *views]
    page.keyboard.press("Enter")
    page.get_by_role("region", name="The node that was chosen").wait_for()
    look.again()  # what has the focus keeps it
    assert _focused(look)["text"].startswith("mapvalues · with_tax()")


def test_keyboard_skips_to_the_view_and_opens_others(look: Look) -> None:
    page = look.open("topology")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Windows", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("[data-windowed]").first.wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "Why is my window not closing?"


def test_unknown_view_is_the_first_one(look: Look) -> None:
    page = look.page
    page.goto(f"{look.url}/#/nothing")
    page.locator("#view[data-view='topology']").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "Topology"
    page.goto(f"{look.url}/#/stores/no-such-store")
    page.get_by_text("There is no store no-such-store.").wait_for()


def test_layers_of_any_graph_lie_below_one_another(look: Look) -> None:
    look.open("topology")
    assert look.check("misplaced_boxes") == []
