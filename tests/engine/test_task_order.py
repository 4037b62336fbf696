"""Tasks by the moment that each is at."""

from headrace.base.ids import TaskId
from headrace.engine.punctuation import NEVER
from headrace.engine.task_order import TaskOrder

A, B, C = TaskId(0, 0), TaskId(0, 1), TaskId(1, 0)


def order_of(**moments: int) -> TaskOrder:
    order = TaskOrder()
    for name, moment in moments.items():
        order.put({"a": A, "b": B, "c": C}[name], moment)
    return order


def test_the_earliest_task_comes_first_and_equal_ones_by_their_ids() -> None:
    assert list(order_of(c=5, b=5, a=7)) == [(5, B), (5, C), (7, A)]


def test_a_task_has_one_moment() -> None:
    order = order_of(a=5, b=6)
    order.put(A, 8)
    order.put(A, 7)
    assert list(order) == [(6, B), (7, A)]


def test_a_task_that_never_comes_is_not_among_them() -> None:
    order = order_of(a=5, b=6)
    order.put(A, NEVER)
    order.put(A, NEVER)
    assert list(order) == [(6, B)]
    assert order.earliest == 6
    order.put(B, NEVER)
    assert order.earliest == NEVER


def test_tasks_up_to_a_moment_come_in_the_order_of_their_ids() -> None:
    order = order_of(a=6, b=5, c=7)
    assert order.until(4) == ()
    assert order.until(6) == [A, B]
