"""The metrics of a whole application, read while it runs."""

import threading

from tests.metrics.conftest import Counting
from tests.streams.waiting import until

TASK, CLIENT = "stream-task-metrics", "stream-metrics"


def test_threads_and_tasks_tell_what_they_have_done(counting: Counting) -> None:
    with counting(500) as streams:
        streams.wait_running("20s")
        until(lambda: streams.metrics().total("process-total") == 2_000)
        until(lambda: streams.state == "running")
        metrics = streams.metrics()
        threads = {each.tags["thread-id"] for each in metrics.find("commit-total", "stream-thread-metrics")}
        assert threads == {"counting-StreamThread-1", "counting-StreamThread-2"}
        # One that has moved to the other thread meanwhile begins anew.
        until(
            lambda: (
                {each.tags["task-id"] for each in streams.metrics().find("process-total", TASK)}
                == {"0_0", "0_1", "0_2", "0_3"}
            )
        )
        until(lambda: streams.metrics().total("records-lag") == 0)
        until(
            lambda: (
                streams.metrics().total("records-produced-total", "stream-topic-metrics", topic="counted")
                >= 40
            )
        )
        metrics = streams.metrics()
        assert metrics.total("task-created-total") - metrics.total("task-closed-total") == 4
        (state,) = metrics.find("state", CLIENT)
        assert (state.value, state.tags) == ("RUNNING", {"client-id": "counting"})
        assert metrics.total("alive-stream-threads", CLIENT) == 2
        assert "Sub-topology: 0" in str(metrics.find("topology-description", CLIENT)[0].value)


def test_totals_never_fall_while_it_runs_and_others_read_them(counting: Counting) -> None:
    fell: list[str] = []
    streams = counting(20_000)
    done = threading.Event()

    def read() -> None:
        before: dict[tuple[str, str, tuple[str, ...]], float] = {}
        while not done.is_set():
            for each in streams.metrics():
                series = (each.group, each.name, tuple(each.tags.values()))
                if each.declaration.kind == "counter" and each.name != "restore-total":
                    assert isinstance(each.value, int | float)
                    if each.value < before.get(series, 0.0):
                        fell.append(str(series))
                    before[series] = each.value

    readers = [threading.Thread(target=read) for _ in range(2)]
    with streams:
        for reader in readers:
            reader.start()
        try:
            until(lambda: streams.metrics().total("process-total") == 80_000)
        finally:
            done.set()
            for reader in readers:
                reader.join()
    assert fell == []


def test_before_the_start_and_after_the_end_the_instance_alone_is_measured(
    counting: Counting,
) -> None:
    streams = counting(1)
    assert {each.group for each in streams.metrics()} == {CLIENT}
    with streams:
        streams.wait_running("20s")
    metrics = streams.metrics()
    assert [each.value for each in metrics.find("state", CLIENT)] == ["NOT_RUNNING"]
    assert metrics.total("alive-stream-threads", CLIENT) == 0


def test_a_worker_that_died_and_was_replaced_is_a_failed_thread(counting: Counting) -> None:
    fails = [RuntimeError("once")]

    def fail_once(key: object, value: object) -> None:
        if fails:
            raise fails.pop()

    streams = counting(1, fail_once)
    streams.on_uncaught(lambda error: "replace_thread")
    with streams:
        until(lambda: streams.metrics().total("process-total") >= 4)
        assert streams.metrics().total("failed-stream-threads", CLIENT) == 1
