"""Each view, in a browser, of an application that stands still: it shows what the routes say."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.server import orders
from tests.server.conftest import Served
from tests.server.page.looking import Look

pytestmark = pytest.mark.process

MINUTES = "KSTREAM-AGGREGATE-0000000008"


def moment(ms: int | None) -> str:
    """Write a time as the page does."""
    if ms is None:
        return "–"
    text = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text if ms % 1000 == 0 else f"{text}.{ms % 1000:03}"


def count(number: int | None) -> str:
    """Write a number as the page does."""
    return "–" if number is None else f"{number:,}"


def test_head_tells_state_and_figures(look: Look) -> None:
    page = look.open("topology")
    found = look.ask("overview")
    assert page.title() == "shop – headrace"
    assert page.locator("#application").inner_text() == "shop"
    assert look.page.get_by_role("status").first.inner_text() == found["state"] == "running"
    figures = {
        each.get_attribute("data-figure"): each.locator("dd").inner_text()
        for each in page.locator("#figures > div").all()
    }
    assert figures == {
        "throughput": "0/s",
        "lag": "0 records",
        "tasks": str(len(found["tasks"])),
        "processed": count(found["records"]),
        "dropped": str(found["dropped"]),
        "commits": str(look.ask("overview")["commits"]),
    }
    assert look.problems == []


def test_topology_tells_each_node_with_its_counts_and_its_place(look: Look) -> None:
    page = look.open("topology")
    plan, counts = look.ask("topology"), look.ask("nodes")["nodes"]
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    for part in plan["subtopologies"]:
        shown = page.locator(f"[data-part='{part['id']}'] tbody tr")
        assert shown.count() == len(part["nodes"])
        for node in part["nodes"]:
            found = counts[node["name"]]
            name, kind, declared, processed, _, dropped, failed = look.cells(
                f"tr[data-node='{node['name']}']"
            )
            assert (name, kind, declared) == (node["name"], node["kind"], node["declared"])
            assert processed == count(found["processed"])
            assert (dropped, failed) == (str(found["dropped"]), str(found["failed"]))
    assert look.problems == []


def test_graph_has_each_node_below_what_gives_to_it(look: Look) -> None:
    page = look.open("topology")
    part = look.ask("topology")["subtopologies"][0]
    place: dict[str, dict[str, float]] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('g.node')].map((each) => {
            const { top, bottom } = each.querySelector('rect.box').getBoundingClientRect();
            return [each.dataset.key, { top, bottom }];
        }))"""
    )
    for node in part["nodes"]:
        for child in node["children"]:
            assert place[child]["top"] > place[node["name"]]["bottom"]
    box = page.locator("g.node[data-key='KSTREAM-MAPVALUES-0000000002']")
    texts = box.locator("text").all_text_contents()
    assert "with_tax()" in texts[0]
    assert "orders.py:57" in texts
    assert "2 failed" in texts
    assert page.locator(f"g.node[data-key='{MINUTES}'] .mark").text_content() == "1 dropped"


def test_edges_tell_records_a_second_once_it_is_known(look: Look) -> None:
    page = look.open("topology")
    look.again()
    edge = page.locator("[data-edge='in orders → KSTREAM-SOURCE-0000000000']")
    assert edge.text_content() == "0/s"
    assert look.ask("nodes")["topics"]["orders"]["consumed_rate"] == 0
    edge = page.locator("[data-edge='KSTREAM-SOURCE-0000000000 → KSTREAM-FILTER-0000000001']")
    assert edge.text_content() == "0/s"
    assert (
        page.locator("[data-edge^='KSTREAM-FILTER-0000000001 →']").count() == 0
    )  # nobody counts what it keeps
    shown = page.locator("[data-key='uncounted']").inner_text()
    unknown = [each for each in look.ask("nodes")["nodes"].values() if each["rate"] is None]
    assert shown.startswith(f"Of {len(unknown)} nodes")
    assert "metrics.recording.level=debug" in shown


def test_node_that_is_chosen_tells_all_of_itself(look: Look) -> None:
    page = look.open("topology")
    page.get_by_role("link", name="mapvalues · with_tax(), processor, 2 failed").click()
    chosen = page.get_by_role("region", name="The node that was chosen")
    chosen.wait_for()
    text = chosen.inner_text()
    for each in ("KSTREAM-MAPVALUES-0000000002", "orders.py:57", "2 × failed to process", "by-country"):
        assert each in text
    chosen.get_by_role("link", name="Close").click()
    chosen.wait_for(state="detached")


def test_tasks_tell_state_inputs_and_stores(look: Look) -> None:
    page = look.open("tasks")
    found = look.ask("tasks")
    assert [each.get_attribute("data-task") for each in page.locator("tr[data-task]").all()] == [
        each["id"] for each in found["tasks"]
    ]
    for task in found["tasks"]:
        row = f"tr[data-task='{task['id']}']"
        name, state, thread, time, *_ = look.cells(row)
        assert (name, state, thread) == (task["id"], task["state"], found["threads"][0]["name"])
        assert time == moment(task["stream_time"])
        for partition, each in task["inputs"].items():
            shown = page.locator(f"{row} [data-partition='{partition}']").inner_text()
            assert shown == f"{partition} {each['lag_records']} behind"
        for store, each in task["stores"].items():
            shown = page.locator(f"{row} [data-store='{store}']").inner_text()
            assert shown == f"{store} {each['offset_lag']} behind"
    assert look.problems == []


def test_store_shows_its_rows_as_text(look: Look) -> None:
    page = look.open("stores/countries")
    page.wait_for_selector(".rows[data-answered]")
    rows = look.ask("stores/countries")["rows"]
    shown = [look.cells(f".rows tr[data-row='{place}']") for place in range(len(rows))]
    assert shown == [[row["key"], str(row["value"])] for row in rows]
    assert orders.HOSTILE in [key for key, _ in shown]
    assert page.locator("#view img").count() == 0
    assert look.problems == []


def test_key_is_looked_up(look: Look) -> None:
    page = look.open("stores/countries")
    page.get_by_label("Key", exact=True).fill("CH")
    page.get_by_role("button", name="Look").click()
    page.wait_for_selector(".rows[data-answered='2']")
    assert look.cells(".rows tr[data-row='0']") == ["CH", str(look.ask("stores/countries/CH")["value"])]
    page.get_by_label("Key", exact=True).fill("XX")
    page.get_by_role("button", name="Look").click()
    page.wait_for_selector(".rows[data-answered='3']")
    assert page.locator(".rows").inner_text() == "store 'countries' has no such key"


def test_windows_and_versions_of_a_store_have_their_times(look: Look) -> None:
    page = look.open("stores/minutes")
    page.wait_for_selector(".rows[data-answered]")
    for place, row in enumerate(look.ask("stores/minutes")["rows"]):
        shown = look.cells(f".rows tr[data-row='{place}']")
        assert shown == [row["key"], moment(row["start"]), moment(row["end"]), str(row["value"])]
    page = look.open("stores/last-order")
    page.wait_for_selector("form[aria-label='Ask last-order']")
    page.get_by_label("Key", exact=True).fill("customer-1")
    page.get_by_role("button", name="Look").click()
    page.wait_for_selector(".rows[data-answered]")
    found = look.ask("stores/last-order/customer-1")
    assert look.cells(".rows tr[data-row='0']")[:3] == [
        "customer-1",
        json.dumps(found["value"]),
        moment(found["timestamp"]),
    ]


def test_windows_tell_who_holds_them_back(look: Look) -> None:
    page = look.open("windows")
    nodes = look.ask("windows")["nodes"]
    assert [each.get_attribute("data-windowed") for each in page.locator("[data-windowed]").all()] == [
        each["node"] for each in nodes
    ]
    for node in nodes:
        card = f"[data-windowed='{node['node']}']"
        back = next(each for each in node["tasks"] if each["task"] == node["held_back_by"])
        assert (
            page.locator(f"{card} .answer").inner_text().startswith(f"Task {back['task']}: {back['text']}.")
        )
        for task in node["tasks"]:
            row = f"{card} tr[data-task='{task['task']}']"
            name, time, closed, held, *_ = look.cells(row)
            assert name.split()[0] == task["task"]
            assert (" furthest behind" in name) == (task is back)
            assert (time, closed) == (moment(task["stream_time"]), moment(task["closed_until"]))
            leaves = moment(task["first_leaves_at"])
            assert held == ("–" if not task["held"] else f"{task['held']} until {leaves}")
            assert page.locator(f"{row} [data-reason]").get_attribute("title") == task["text"]
            [each] = task["inputs"]
            shown = page.locator(f"{row} [data-partition='{each['partition']}']").inner_text()
            assert moment(each["partition_time"]) in shown
            assert ("holds it back" in shown) == (task is back)
    assert look.problems == []


def test_dead_letters_tell_reason_and_traceback(look: Look) -> None:
    page = look.open("dead-letters")
    letters = look.ask("dead-letters")["letters"]
    assert page.locator("[data-letter]").count() == len(letters) == 3
    for letter in letters:
        shown = page.locator(f"[data-letter='failed-{letter['partition']}-{letter['offset']}']")
        shown.locator("summary").click()
        text = shown.inner_text()
        for each in (
            letter["message"],
            letter["value"],
            letter["node"],
            letter["stage"],
            moment(letter["timestamp"]),
        ):
            assert each in text
        assert shown.locator("pre").text_content() == letter["traceback"]
    look.again()  # what is unfolded stays so
    assert page.locator("[data-letter][open]").count() == 3
    assert page.locator("#view script, #view img").count() == 0
    assert look.problems == []


def test_last_hour_tells_each_sample(look: Look) -> None:
    page = look.open("history")
    with page.expect_response("**/history") as answered:
        look.again()
    found: Any = answered.value.json()
    page.evaluate("document.querySelector('#view details').open = true")
    commits = sum(each["commits"] for each in found["samples"])
    assert page.locator("#view [data-figure='commits'] dd").inner_text() == str(commits)
    rows = page.locator("#view details tbody tr")
    assert rows.count() >= len(found["samples"])
    begins = [str(each["begin"]) for each in found["samples"]]
    shown = {each.get_attribute("data-key") for each in rows.all()}
    assert len(shown) == rows.count() >= len(begins)
    assert page.get_by_role("img").count() == 2
    assert look.problems == []


def test_configuration_tells_value_and_origin_and_can_be_searched(look: Look) -> None:
    page = look.open("config")
    properties = look.ask("config")["properties"]
    assert page.locator("tr[data-property]").count() == len(properties)
    for each in properties:
        if each["origin"] != "default":
            shown = look.cells(f"tr[data-property='{each['name']}']")
            assert shown == [each["name"], each["value"], each["origin"], each["meaning"]]
    page.get_by_label("only what was set").check()
    given = [each["name"] for each in properties if each["origin"] != "default"]
    assert page.locator("tr[data-property]").count() == len(given)
    page.get_by_label("Find").fill("dead letter")
    assert page.locator("tr[data-property]").count() == 1
    look.again()  # what was written stays
    assert page.get_by_label("Find").input_value() == "dead letter"
    assert page.locator("tr[data-property]").count() == 1


def test_page_is_the_same_for_every_application(look: Look, served: Served) -> None:
    look.url = served.url
    page = look.open("topology")
    assert page.locator("[data-part]").count() == 3
    for view, said in (
        ("dead-letters", "No topic of dead letters is named"),
        ("windows", "sessions with a gap of 30 s"),
        ("stores", "numbers"),
    ):
        look.open(view)
        page.get_by_text(said).first.wait_for()
    assert look.problems == []
