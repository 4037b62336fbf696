"""What has gone through an application: by node and topic, and in the last hour."""

import time
from collections.abc import Sequence
from typing import Any

from headrace.engine.failures import is_failure
from headrace.engine.work_history import SAMPLE_SECONDS, WorkSample
from headrace.metrics.metric import Metric, Metrics
from headrace.outside.letter_topics import letter_topics
from headrace.server.node_flow import records_given
from headrace.server.parameters import Given
from headrace.server.recent_rates import RecentRates
from headrace.server.routes import Route
from headrace.streams.streams import Streams

__all__ = ["work_routes"]

_NODES, _TOPICS = "stream-processor-node-metrics", "stream-topic-metrics"


def work_routes(streams: Streams) -> Sequence[Route]:
    """Return the routes."""
    return (
        Route(
            "/nodes",
            "What has gone through nodes and topics of the tasks here: records, rates of the last minute once somebody "
            "has asked before, and what was dropped or has failed. At metrics.recording.level=info nodes within a "
            "sub-topology are not counted: theirs follow from others', where they do, and are null elsewhere.",
            _NodeCounts(streams).counted,
        ),
        Route(
            "/history",
            "Throughput and the time of commits in the last hour, by ten seconds; kept in memory.",
            lambda given: _history(streams),
        ),
    )


class _NodeCounts:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._rates = RecentRates()

    def counted(self, given: Given) -> object:
        topology, application_id = self._streams.topology, self._streams.application_id
        metrics, now = self._streams.metrics(), time.monotonic()
        given_to = _totals(metrics.find("process-total", _NODES), "processor-node-id")
        consumed = _totals(metrics.find("records-consumed-total", _TOPICS), "topic")
        produced = _totals(metrics.find("records-produced-total", _TOPICS), "topic")
        nodes = {
            name: _dropped(metrics.find("dropped-records-total", _NODES, processor_node_id=name))
            for name in topology.nodes
        }
        lost = {name: found["dropped"] + found["failed"] for name, found in nodes.items()}
        rates = self._rates.of(
            {
                **{f"node {name}": total for name, total in given_to.items()},
                **{f"lost {name}": total for name, total in lost.items()},
                **{f"consumed {topic}": total for topic, total in consumed.items()},
                **{f"produced {topic}": total for topic, total in produced.items()},
            },
            now,
        )
        plain = {topology.decorate(name, application_id): name for name in topology.repartition_topics}
        dead_letters = letter_topics(self._streams.config)
        # Of rates alone: what was written by tasks that have gone stays counted, and what they have read does not.
        written = {
            plain.get(topic, topic): rates[f"produced {topic}"]
            for topic in produced
            if f"produced {topic}" in rates and topic not in dead_letters
        }
        totals = records_given(topology, given_to, dropped=lost, written={})
        flow = records_given(
            topology,
            {name: rates[f"node {name}"] for name in given_to if f"node {name}" in rates},
            dropped={name: rates.get(f"lost {name}", 0.0) for name in lost},
            written=written,
        )
        return {
            "nodes": {
                name: {
                    "processed": totals.get(name),
                    "rate": flow.get(name),
                    "is_counted": name in given_to,
                    **found,
                }
                for name, found in nodes.items()
            },
            "topics": {
                plain.get(topic, topic): {
                    "consumed": consumed.get(topic),
                    "consumed_rate": rates.get(f"consumed {topic}"),
                    "produced": produced.get(topic),
                    "produced_rate": rates.get(f"produced {topic}"),
                }
                for topic in sorted(consumed.keys() | produced.keys())
            },
        }


def _dropped(metrics: Metrics) -> dict[str, Any]:
    reasons = _totals(metrics, "reason")
    failed = sum(count for reason, count in reasons.items() if is_failure(reason))
    return {"dropped": sum(reasons.values()) - failed, "failed": failed, "reasons": reasons}


def _number(metric: Metric) -> int:
    return 0 if isinstance(metric.value, str) else int(metric.value)


def _totals(metrics: Metrics, tag: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in metrics:
        found[each.tags[tag]] = found.get(each.tags[tag], 0) + _number(each)
    return found


def _history(streams: Streams) -> dict[str, Any]:
    # Samples go by the monotonic clock, and people by the other one.
    began_ms = time.time() * 1000 - time.monotonic() * 1000
    return {
        "sample_seconds": SAMPLE_SECONDS,
        "samples": [_sample(each, began_ms) for each in streams.history()],
    }


def _sample(sample: WorkSample, began_ms: float) -> dict[str, Any]:
    return {
        "begin": round(began_ms + sample.number * SAMPLE_SECONDS * 1000),
        "records_per_second": sample.records / sample.seconds if sample.seconds else 0.0,
        "commits": sample.commits,
        "commit_ms_average": sample.commit_ms / sample.commits if sample.commits else None,
        "commit_ms_max": sample.commit_ms_max if sample.commits else None,
    }
