"""What the page asks for beside the overview: what is set, what went through, its windows, its dead letters."""

from itertools import pairwise
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.status import InputStatus, TaskStatus, WindowStatus
from headrace.server import Server
from headrace.server.windows import waited_for
from tests.server import orders
from tests.server.conftest import Served, application, ask
from tests.streams.waiting import until

MINUTES = "KSTREAM-AGGREGATE-0000000008"
FIRST, SECOND = TopicPartition("clicks", 0), TopicPartition("views", 0)


def test_secrets_are_no_part_of_the_configuration(tmp_path: Path) -> None:
    streams = application(tmp_path, **{"sasl.password": "hunter2", "sasl.username": "shop"})
    with Server(streams) as server:
        answer = ask(server.url, "/config")
        found = {each["name"]: (each["value"], each["origin"]) for each in answer.body["properties"]}
        assert found["sasl.password"] == ("****", "code")
        assert found["sasl.username"] == ("shop", "code")
        assert found["commit.interval.ms"] == ("20", "code")
        assert found["num.stream.threads"] == ("1", "default")
        assert "hunter2" not in str(answer.body)


def test_nodes_tell_what_went_through_them_and_what_did_not(shop: Served) -> None:
    found = shop.ask("/nodes").body
    nodes, topics = found["nodes"], found["topics"]
    assert nodes["KSTREAM-SOURCE-0000000000"]["processed"] == 404
    assert nodes["KSTREAM-SOURCE-0000000000"]["reasons"] == {"failed to deserialize": 1}
    assert (
        nodes["KSTREAM-MAPVALUES-0000000002"]["failed"],
        nodes["KSTREAM-MAPVALUES-0000000002"]["dropped"],
    ) == (2, 0)
    assert (nodes[MINUTES]["failed"], nodes[MINUTES]["dropped"]) == (0, 1)
    assert (nodes[MINUTES]["processed"], nodes[MINUTES]["is_counted"]) == (
        343,
        False,
    )  # all that its source has read
    assert nodes["KSTREAM-FILTER-0000000001"]["processed"] == 403
    assert nodes["KSTREAM-MAPVALUES-0000000002"]["processed"] is None  # counted at level debug
    assert topics["orders"]["consumed"] == 404
    assert topics["by-country-repartition"]["produced"] == topics["by-country-repartition"]["consumed"] == 343
    assert topics["failed"]["produced"] == 3


def test_history_tells_of_all_that_was_processed(shop: Served) -> None:
    found = shop.ask("/history").body
    assert found["sample_seconds"] == 10
    assert sum(each["commits"] for each in found["samples"]) > 0
    assert max(each["records_per_second"] for each in found["samples"]) > 0
    begins = [each["begin"] for each in found["samples"]]
    assert all(later - earlier == pytest.approx(10_000, abs=1) for earlier, later in pairwise(begins))


def test_windows_tell_stream_time_and_what_is_held_back(shop: Served) -> None:
    found = {each["node"]: each for each in shop.ask("/windows").body["nodes"]}
    assert list(found) == [MINUTES, "closed-minutes"]
    minutes, closed = found[MINUTES], found["closed-minutes"]
    assert (minutes["grace_ms"], minutes["emits_final"], closed["emits_final"]) == (10_000, False, True)
    for node in (minutes, closed):
        assert [each["task"] for each in node["tasks"]] == ["1_0", "1_1"]
        for task in node["tasks"]:
            assert task["closed_until"] == task["stream_time"] - 10_000
            assert task["reason"] == "silent"
            assert task["inputs"][0]["partition_time"] == task["stream_time"]
        last = min(node["tasks"], key=lambda each: each["stream_time"])
        assert node["held_back_by"] == last["task"]
    assert sum(each["held"] for each in closed["tasks"]) == 5
    assert {each["first_held"] for each in closed["tasks"]} == {orders.BEGIN + 60_000}
    assert {each["first_leaves_at"] for each in closed["tasks"]} == {orders.BEGIN + 70_000}


def test_joins_that_wait_for_a_match_tell_their_stream_time(tmp_path: Path) -> None:
    builder = hr.StreamsBuilder()
    payments = builder.stream(hr.Topic("payments", value=str, partitions=2))
    builder.stream(hr.Topic("orders", value=str, partitions=2)).left_join(
        payments, lambda order, payment: str(payment), within=hr.JoinWindows("1m", grace="10s"), name="paid"
    ).to(hr.Topic("paid", value=str))
    streams = hr.Streams(
        builder.build(),
        application_id="shop",
        embedded_path=str(tmp_path / "orders.db"),
        state_dir=str(tmp_path / "state"),
    )
    orders.application(tmp_path)
    orders.write(tmp_path, orders.orders(0, 2))
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        orders.settled(streams, 2)
        nodes = ask(server.url, "/windows").body["nodes"]
        assert len(nodes) == 2  # a side of the join each
        for node in nodes:
            assert (node["windows"], node["grace_ms"], node["emits_final"]) == (None, 70_000, True)
            assert [(each["stream_time"], each["closed_until"]) for each in node["tasks"]] == [
                (orders.BEGIN, orders.BEGIN - 70_001),
                (orders.BEGIN + 100, orders.BEGIN + 100 - 70_001),
            ]


def _task(
    *inputs: tuple[TopicPartition, InputStatus], state: str = "running", remaining: int = 0
) -> TaskStatus:
    assert state in ("running", "restoring")
    return TaskStatus(
        TaskId(0, 0),
        "running" if state == "running" else "restoring",
        remaining=remaining,
        inputs=dict(inputs),
    )


def _window(stream_time: int | None, idle_ms: int | None = None) -> WindowStatus:
    return WindowStatus(stream_time, stream_time, 0, True, idle_ms, 0, None)


@pytest.mark.parametrize(
    ("task", "window", "said"),
    [
        (
            _task(state="restoring", remaining=1200),
            None,
            ("restoring", "the task restores its stores: 1,200 records are left", None),
        ),
        (
            _task((FIRST, InputStatus(0, None, 90)), (SECOND, InputStatus(1, 10, 5))),
            _window(90),
            ("behind", "1 record of views-0 is still to be processed", SECOND),
        ),
        (
            _task((FIRST, InputStatus(3, 7, None)), (SECOND, InputStatus(4, 10, 5))),
            _window(90),
            ("behind", "3 records of clicks-0 are still to be processed", FIRST),
        ),
        (
            _task((FIRST, InputStatus(0, None, 90)), (SECOND, InputStatus(0, None, 50))),
            _window(None),
            ("no record", "no record has reached the node since the task began", SECOND),
        ),
        (
            _task((FIRST, InputStatus(0, None, 90)), (SECOND, InputStatus(0, None, 50))),
            _window(90),
            (
                "silent",
                "all that came is processed: windows that are open wait for a record of a later time",
                SECOND,
            ),
        ),
        (
            _task((FIRST, InputStatus(0, None, 90))),
            _window(90, 1500),
            (
                "silent",
                "all that came is processed: windows that are open wait for a record of a later time, "
                "or for 1.5 s of silence",
                FIRST,
            ),
        ),
    ],
)
def test_what_a_window_waits_for(
    task: TaskStatus, window: WindowStatus | None, said: tuple[str, str, TopicPartition | None]
) -> None:
    assert waited_for(task, window) == said


def test_windows_of_a_paused_application_wait_for_it() -> None:
    assert waited_for(_task((FIRST, InputStatus(3, 7, 5))), _window(5), is_paused=True)[0] == "paused"


def test_dead_letters_come_newest_first_with_reason_and_traceback(shop: Served) -> None:
    found = shop.ask("/dead-letters").body
    assert (found["topics"], found["has_more"], len(found["letters"])) == (["failed"], False, 3)
    by_key = {each["value"]: each for each in found["letters"]}
    letter = by_key["<script>alert(2)</script>"]
    assert (letter["stage"], letter["key"]) == ("deserialize", "mallory")
    assert letter["origin"] == {"topic": "orders", "partition": 0, "offset": 201}
    taxed = next(each for each in found["letters"] if "-5" in each["message"])
    assert (taxed["reason"], taxed["stage"]) == ("ValueError", "process")
    assert "in with_tax" in taxed["traceback"]
    offsets = [each["offset"] for each in found["letters"]]
    assert offsets == sorted(offsets, reverse=True)
    few = shop.ask("/dead-letters?limit=2").body
    assert (few["letters"], few["has_more"]) == (found["letters"][:2], True)


def test_dead_letters_are_there_when_the_application_has_stopped(tmp_path: Path) -> None:
    streams = orders.application(tmp_path)
    with Server(streams) as server:
        assert ask(server.url, "/dead-letters").body["letters"] == []
        orders.write(tmp_path, orders.faulty(0)[:1])
        with streams:
            streams.wait_running("30s")
            until(lambda: ask(server.url, "/dead-letters").body["letters"])
        [letter] = ask(server.url, "/dead-letters").body["letters"]
        assert letter["message"] == "an amount of -5 cannot be taxed"


def test_dead_letters_are_those_of_all_topics_that_handlers_have_named(tmp_path: Path) -> None:
    def by_stage(failure: hr.Failure) -> hr.Reaction:
        return hr.Reaction.dead_letter("unreadable" if failure.stage == "deserialize" else None)

    orders.application(tmp_path)
    streams = hr.Streams(
        orders.topology(),
        application_id="shop",
        embedded_path=str(tmp_path / "orders.db"),
        state_dir=str(tmp_path / "state"),
        commit_interval_ms=50,
        processing_exception_handler=by_stage,
        deserialization_exception_handler=by_stage,
        errors_dead_letter_queue_topic_name="failed",
    )
    orders.write(tmp_path, orders.faulty(0)[:3])
    with streams:
        streams.wait_running("30s")
        orders.settled(streams, 3)
    with Server(
        orders.application(tmp_path)
    ) as server:  # another one with the same state: it has not run yet
        found = ask(server.url, "/dead-letters").body
        assert found["topics"] == ["failed", "unreadable"]
        assert sorted((each["topic"], each["stage"]) for each in found["letters"]) == [
            ("failed", "process"),
            ("failed", "process"),
            ("unreadable", "deserialize"),
        ]
        [one] = ask(server.url, "/dead-letters?topic=unreadable").body["letters"]
        assert one["value"] == "<script>alert(2)</script>"
        assert ask(server.url, "/dead-letters?topic=orders").status == 404


def test_without_a_topic_there_are_no_dead_letters(served: Served) -> None:
    found = served.ask("/dead-letters").body
    assert found == {"topics": [], "unanswered": [], "letters": [], "has_more": False}


def test_tasks_tell_how_far_their_inputs_are(shop: Served) -> None:
    tasks = {each["id"]: each for each in shop.ask("/tasks").body["tasks"]}
    time = tasks["0_0"]["stream_time"]
    assert tasks["0_0"]["inputs"] == {
        "orders-0": {"lag_records": 0, "oldest_timestamp": None, "partition_time": time}
    }
    assert time == orders.BEGIN + 41_000
