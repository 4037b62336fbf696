"""What a worker's figures are gathered to."""

import math

import pytest

from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.measuring import measure_thread
from headrace.engine.status import InputStatus, TaskStatus, WorkerStatus
from headrace.engine.thread_figures import ThreadFigures
from headrace.metrics.declaration import Level
from headrace.metrics.metric import MetricsOf
from headrace.metrics.rates import Rates

READ = {TopicPartition("in", 0): InputStatus(3, None)}
RUNNING = TaskStatus(TaskId(0, 0), "running", inputs=READ)


@pytest.mark.parametrize(
    ("others", "lag"),
    [
        ((), 3),
        ((TaskStatus(TaskId(0, 1), "restoring"),), math.nan),
        ((TaskStatus(TaskId(0, 1), "running"),), math.nan),
    ],
    ids=["all read", "one is restored", "one has not read"],
)
def test_lag_of_a_thread_is_unknown_while_that_of_a_task_is(
    others: tuple[TaskStatus, ...], lag: float
) -> None:
    into = MetricsOf(Level.INFO, Rates(0), 0)
    status = WorkerStatus(state="running", lag_records=3, tasks=(RUNNING, *others))
    measure_thread(into, "thread", ThreadFigures(lambda: 0.0), status)
    (found,) = [each.value for each in into.found if each.name == "records-lag"]
    assert found == pytest.approx(lag, nan_ok=True)
