"""A sink by itself, and what it refuses."""

from collections.abc import Callable

from headrace.base.ids import TaskId
from headrace.base.records import Headers
from headrace.engine.collector import RecordCollector
from headrace.engine.sinks import compile_sink
from headrace.processor.context import TaskContext
from headrace.topology.nodes import SinkNode
from headrace.topology.wiring import Forward, ForwardStretch


def sink_of(
    node: SinkNode, collector: RecordCollector, words: Callable[[BaseException, object], str]
) -> tuple[Forward, ForwardStretch, list[str]]:
    """What takes records one by one, what takes a stretch, and what of them was refused: `words` of error and value."""
    refused: list[str] = []

    def refuse(error: BaseException, key: object, value: object, timestamp: int, headers: Headers) -> None:
        refused.append(words(error, value))

    run, run_together = compile_sink(
        node,
        full_name=str,
        collector=collector,
        context=TaskContext("app", TaskId(0, 0), lambda: 0),
        failed=refuse,
        refused=refuse,
        drop=refused.append,
    )
    assert run_together is not None
    return run, run_together, refused
