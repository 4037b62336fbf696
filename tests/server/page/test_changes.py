"""The page while its application changes: more threads, a restore, an error, changes of a store, a server that goes."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

import headrace as hr
from headrace.server import Server, asgi
from tests.server import orders
from tests.server.conftest import application
from tests.server.page.looking import Look
from tests.streams.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.process

TOKEN = "a-token-of-20-bytes!"


class Slow(hr.RestoreListener):
    """Lets a restore go on a step at a time until it is in the middle, and then not before it is released."""

    def __init__(self, streams: hr.Streams) -> None:
        self._streams = streams
        self.is_in_the_middle = threading.Event()
        self.released = threading.Event()

    def on_batch_restored(self, *batch: object) -> None:
        """See `RestoreListener`. Figures are told every quarter of a second."""
        self.released.wait(0.3)
        status = self._streams.status()
        if status is not None and any(task.restored and task.remaining for task in status.tasks):
            self.is_in_the_middle.set()
            self.released.wait(60)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[hr.Streams]:
    """The orders, running."""
    streams = orders.application(tmp_path)
    orders.write(tmp_path, orders.orders(0, 100))
    with streams:
        streams.wait_running("30s")
        orders.settled(streams, 100 + 85)
        yield streams


def test_restore_is_shown_as_it_is(browser: "Browser", tmp_path: Path) -> None:
    with orders.application(tmp_path) as streams:
        # Long keys: their changelog takes several reads.
        long = [(key.ljust(4000, "."), value, time) for key, value, time in orders.orders(0, 2000)]
        orders.write(tmp_path, long)
        streams.wait_running("30s")
        orders.settled(streams, 2000 + 1714)
    streams.clean_up()
    streams = orders.application(tmp_path)
    slow = Slow(streams)
    streams.on_restore(slow)
    with Server(streams) as server, streams, Look.at(browser, server.url) as look:
        try:
            assert slow.is_in_the_middle.wait(30)
            page = look.open("tasks")
            found = look.ask("overview")
            restores = [task["restore"] for task in found["tasks"] if task["restore"] is not None]
            restored = sum(each["restored"] for each in restores)
            share = 100 * restored // (restored + sum(each["remaining"] for each in restores))
            assert 0 < share < 100
            word = "task" if len(restores) == 1 else "tasks"
            shown = page.locator("#figures [data-figure='restoring'] dd").inner_text()
            assert shown == f"{len(restores)} {word}, {share} %"
            assert page.locator("#state").inner_text() == found["state"] == "rebalancing"
            assert page.locator("#trouble").inner_text() == found["waits_for"]
            for task in look.ask("tasks")["tasks"]:
                row = f"tr[data-task='{task['id']}']"
                assert look.cells(row)[1] == task["state"]
                whole = task["restored"] + task["remaining"]
                if task["state"] == "restoring" and whole:
                    assert f"{task['restored']:,} of {whole:,}" in look.cells(row)[-1]
                for store, lag in task["stores"].items():
                    shown = page.locator(f"{row} [data-store='{store}']").inner_text()
                    assert shown == f"{store} {lag['offset_lag']:,} behind"
        finally:
            slow.released.set()
        streams.wait_running("30s")
        page.locator("#state.good").wait_for()
        look.again(2)
        assert page.locator("#figures [data-figure='restoring']").count() == 0
        assert look.problems == []


def test_rebalance_is_shown_as_it_is(browser: "Browser", running: hr.Streams) -> None:
    with Server(running) as server, Look.at(browser, server.url) as look:
        page = look.open("tasks")
        assert page.get_by_role("row", name="shop-StreamThread-").count() == 5  # four tasks, one thread
        running.add_stream_thread()
        until(lambda: sum(bool(each["tasks"]) for each in look.ask("tasks")["threads"]) == 2)
        running.wait_running("30s")
        look.again(2)
        found = look.ask("tasks")
        for task in found["tasks"]:
            thread = next(each["name"] for each in found["threads"] if task["id"] in each["tasks"])
            assert look.cells(f"tr[data-task='{task['id']}']")[:3] == [task["id"], "running", thread]
        assert look.problems == []


def test_pause_is_what_windows_wait_for(browser: "Browser", running: hr.Streams, tmp_path: Path) -> None:
    with Server(running) as server, Look.at(browser, server.url) as look:
        running.pause()
        page = look.open("windows")
        assert page.locator("#state").inner_text() == "paused"
        assert look.ask("overview")["is_paused"]
        answers = page.locator(".answer").all_inner_texts()
        assert [each.split(": ")[1].split(".")[0] for each in answers] == ["the application is paused"] * 2
        running.resume()
        page.locator("#state.good").wait_for()


def test_edges_within_a_sub_topology_have_rates_at_level_debug(browser: "Browser", tmp_path: Path) -> None:
    streams = orders.application(tmp_path, **{"metrics.recording.level": "DEBUG"})
    orders.write(tmp_path, [*orders.orders(0, 100), *orders.faulty(11)])
    with streams, Server(streams) as server, Look.at(browser, server.url) as look:
        streams.wait_running("30s")
        orders.settled(streams, 104 + 86)
        page = look.open("topology")
        look.again()
        counts = look.ask("nodes")["nodes"]
        assert counts["KSTREAM-FILTER-0000000001"]["processed"] == 103  # but for what cannot be read
        assert counts["KSTREAM-MAPVALUES-0000000002"]["processed"] == 88  # nobody pays for 15
        box = page.locator("g.node[data-key='KSTREAM-MAPVALUES-0000000002']")
        assert box.locator(".count").text_content() == "88"
        edge = page.locator("[data-edge='KSTREAM-FILTER-0000000001 → KSTREAM-MAPVALUES-0000000002']")
        assert edge.text_content() == "0/s"


def test_error_is_shown_with_its_traceback(browser: "Browser", tmp_path: Path) -> None:
    orders.application(tmp_path)
    streams = hr.Streams(
        orders.topology(),
        application_id="shop",
        embedded_path=str(tmp_path / "orders.db"),
        state_dir=str(tmp_path / "state"),
        errors_dead_letter_queue_topic_name="failed",
    )
    streams.start()
    with Server(streams) as server, Look.at(browser, server.url) as look:
        streams.wait_running("30s")
        page = look.open("topology")
        orders.write(tmp_path, orders.faulty(0))
        page.locator("#state.bad").wait_for()
        found = look.ask("overview")
        assert page.locator("#state").inner_text() == found["state"] == "error"
        failure = page.locator("#trouble details")
        assert found["failure"]["message"] in failure.locator("summary").inner_text()
        failure.locator("summary").click()
        assert failure.locator("pre").text_content() == found["failure"]["traceback"]
        assert look.check("faint_texts") == []
        for view in ("tasks", "windows", "dead-letters", "history", "config", "stores"):
            look.open(view)
            assert page.locator("#state").inner_text() == "error"
        assert look.problems == [
            each for each in look.problems if "503" in each
        ]  # of instances that nobody tells
    streams.close()


def test_changes_of_a_store_are_shown_as_they_come(
    browser: "Browser", tmp_path: Path, running: hr.Streams
) -> None:
    with Server(running) as server, Look.at(browser, server.url) as look:
        page = look.open("stores/countries")
        page.get_by_role("button", name="Watch live").click()
        page.locator(".changes[data-watching]").wait_for()
        count = look.ask("stores/countries/CH")["value"]
        orders.write(tmp_path, orders.orders(20, 2)[:1] + orders.orders(21, 7)[5:6])
        page.locator("[data-change='1']").wait_for()
        shown = look.cells("[data-change='1']")
        assert shown[0] == "CH"
        until(lambda: look.ask("stores/countries/CH")["value"] == count + 1)
        assert shown[1] == str(count + 1)
        page.get_by_role("button", name="Stop watching").click()
        page.locator(".changes:not([data-watching])").wait_for()
        assert look.problems == []


def test_server_that_goes_is_told_and_the_next_one_found(browser: "Browser", running: hr.Streams) -> None:
    with Server(running) as server, Look.at(browser, server.url) as look:
        page = look.open("topology")
        server.close()
        page.get_by_text("The server has not answered since").wait_for()
        with Server(running, port=server.port):
            page.get_by_text("The server has not answered since").wait_for(state="detached")
            look.again()


def test_token_is_asked_for_and_kept_for_the_tab(browser: "Browser", tmp_path: Path) -> None:
    streams = application(tmp_path, **{"server.token": TOKEN})
    with Server(streams) as server, Look.at(browser, server.url) as look:
        page = look.page
        page.goto(f"{server.url}/")
        dialog = page.get_by_role("dialog", name="This application wants its token")
        dialog.wait_for()
        page.get_by_role("textbox", name="Token").fill("another one, of 26 letters")
        page.keyboard.press("Enter")
        page.get_by_text("That one was not right.").wait_for()
        page.get_by_role("textbox", name="Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("#view[data-view]").wait_for()
        assert page.locator("#state").inner_text() == look.ask("overview", TOKEN)["state"] == "created"
        page.reload()
        page.locator("#view[data-view]").wait_for()
        assert not dialog.is_visible()
        assert TOKEN not in " ".join(look.requests)
        assert page.evaluate("localStorage.length") == 0


def test_page_that_is_mounted_asks_where_it_is(browser: "Browser", running: hr.Streams) -> None:
    app = Starlette(routes=[Mount("/streams", asgi(running))])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/streams"
        with Look.at(browser, url) as look:
            assert look.open("stores/countries").locator("#application").inner_text() == "shop"
            assert [each for each in look.requests if not each.startswith(f"{url}/")] == []
            assert look.problems == []
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
