"""What instances tell of windows, put together."""

from typing import Any

from headrace.server.window_route import put_together
from tests.server.conftest import Served


def node(*tasks: tuple[str, str, int | None], grace_ms: int | None = 5) -> dict[str, Any]:
    """What one instance tells of a node: tasks with state and stream time."""
    return {
        "node": "minutes",
        "subtopology": 1,
        "grace_ms": grace_ms,
        "emits_final": None if grace_ms is None else False,
        "idle_ms": None,
        "tasks": [
            {"task": task, "state": state, "stream_time": stream_time} for task, state, stream_time in tasks
        ],
    }


def test_tasks_of_all_are_in_order_and_the_last_one_holds_back() -> None:
    found = put_together(
        [
            ("a:1", [node(("1_2", "running", 70), ("1_10", "running", 90))]),
            ("b:1", [node(("1_0", "running", 60))]),
        ],
        {0: 1, 1: 3},
    )
    [minutes] = found["nodes"]
    assert [(each["task"], each["instance"]) for each in minutes["tasks"]] == [
        ("1_0", "b:1"),
        ("1_2", "a:1"),
        ("1_10", "a:1"),
    ]
    assert minutes["held_back_by"] == "1_0"
    assert minutes["tasks_not_told_of"] == ["1_1"]
    assert found["instances"] == ["a:1", "b:1"]


def test_a_task_on_its_way_is_told_by_who_runs_it() -> None:
    [minutes] = put_together(
        [("a:1", [node(("1_0", "restoring", None))]), ("b:1", [node(("1_0", "running", 60))])], {1: 1}
    )["nodes"]
    assert [(each["state"], each["instance"]) for each in minutes["tasks"]] == [("running", "b:1")]


def test_what_nobody_here_runs_is_known_from_others() -> None:
    [minutes] = put_together(
        [(None, [node(grace_ms=None)]), ("b:1", [node(("1_0", "running", 60))])], {1: 1}
    )["nodes"]
    assert (minutes["grace_ms"], minutes["emits_final"]) == (5, False)


def test_who_does_not_answer_is_named_with_the_reason() -> None:
    found = put_together([("a:1", []), ("b:1", "b:1 does not answer: nothing came in time")], {})
    assert found["unanswered"] == [{"instance": "b:1", "reason": "b:1 does not answer: nothing came in time"}]
    assert found["instances"] == ["a:1"]


def test_what_others_ask_is_of_this_instance_alone(shop: Served) -> None:
    here = shop.ask("/windows?where=here").body
    assert list(here) == ["nodes"]
    assert [len(each["tasks"]) for each in here["nodes"]] == [2, 2]
    found = shop.ask("/windows").body
    assert (found["instances"], found["unanswered"]) == ([None], [])
    assert [each["tasks_not_told_of"] for each in found["nodes"]] == [[], []]
