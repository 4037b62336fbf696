"""How the application is: its health, topology, tasks and instances."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import PlainTextResponse, Response

from headrace.base.ids import TopicPartition
from headrace.engine.status import LagInfo, TaskStatus, WorkerStatus
from headrace.query.metadata import StreamsMetadata
from headrace.server.answers import JSON, as_json
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.streams.runnable import Runnable
from headrace.streams.status_text import waiting_text
from headrace.streams.streams import Streams

__all__ = ["health_routes", "inspection_routes", "offsets_of", "progress_of"]

_DEAD = frozenset({"pending_error", "error", "not_running"})

_FORM = Parameter(
    "form",
    "text",
    "json (the default), text as Kafka Streams describes it, or mermaid.",
    "json",
    allowed=("json", "text", "mermaid"),
)


def health_routes(application: Runnable) -> Sequence[Route]:
    """Return the routes of probes, which a sink has too."""
    health = _Health(application)
    return (
        Route(
            "/health/live",
            "Whether the application is alive: not so when it has failed or stopped.",
            health.live,
            statuses=(503,),
            blocks=False,
        ),
        Route(
            "/health/ready",
            "Whether it processes: all tasks restored and running; else what is waited for.",
            health.ready,
            statuses=(503,),
            blocks=False,
        ),
    )


def inspection_routes(streams: Streams) -> Sequence[Route]:
    """Return the routes."""
    about = _About(streams)
    return (
        Route(
            "/topology",
            "Nodes, links and stores, with where each was declared.",
            about.topology,
            (_FORM,),
            media_types=(JSON, "text/plain"),
        ),
        Route("/tasks", "The tasks and standbys of this instance, and its threads.", about.tasks),
        Route(
            "/instances",
            "All instances that are known: application.server, stores and partitions.",
            about.instances,
            statuses=(503,),
        ),
    )


class _Health:
    def __init__(self, application: Runnable) -> None:
        self._application = application

    def live(self, given: Given) -> Response:
        state = self._application.state
        return as_json({"state": state}, 503 if state in _DEAD else 200)

    def ready(self, given: Given) -> Response:
        application = self._application
        state = application.state
        if state == "running":
            return as_json({"state": state, "waits_for": application.trouble})
        return as_json(
            {"state": state, "waits_for": waiting_text(state, application.status(), application.trouble)}, 503
        )


class _About:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def topology(self, given: Given) -> object:
        topology = self._streams.topology
        match given["form"]:
            case "text":
                return PlainTextResponse(topology.describe())
            case "mermaid":
                return PlainTextResponse(topology.to_mermaid())
            case _:
                return topology.to_dict()

    def tasks(self, given: Given) -> object:
        status = self._streams.status() or WorkerStatus("starting")
        return {
            "tasks": [_task(each) for each in status.tasks],
            "standbys": [_task(each) for each in status.standbys],
            "global_stores": None if status.global_stores is None else _task(status.global_stores),
            "threads": [
                {
                    "name": each.thread_name,
                    "state": each.thread_state,
                    "tasks": list(map(str, each.active_tasks)),
                    "standbys": list(map(str, each.standby_tasks)),
                }
                for each in self._streams.metadata_for_local_threads()
            ],
        }

    def instances(self, given: Given) -> object:
        return {"instances": [_instance(each) for each in self._streams.metadata_for_all_streams_clients()]}


def progress_of(task: TaskStatus) -> Mapping[str, Any]:
    """Return what a task or a standby is, and how far its restore."""
    return {
        "id": str(task.id),
        "state": task.state,
        "restored": task.restored,
        "remaining": task.remaining,
        "records_per_second": task.records_per_second,
    }


def _task(task: TaskStatus) -> Mapping[str, Any]:
    return {
        **progress_of(task),
        "stores": {name: offsets_of(lag) for name, lag in task.stores.items()},
        "stream_time": task.stream_time,
        "inputs": {
            str(partition): {
                "lag_records": found.lag_records,
                "oldest_timestamp": found.oldest_timestamp,
                "partition_time": found.partition_time,
            }
            for partition, found in sorted(task.inputs.items())
        },
    }


def offsets_of(lag: LagInfo) -> Mapping[str, int]:
    """Return how far a store is behind its changelog."""
    return {
        "current_offset_position": lag.current_offset_position,
        "end_offset_position": lag.end_offset_position,
        "offset_lag": lag.offset_lag,
    }


def _instance(instance: StreamsMetadata) -> Mapping[str, Any]:
    return {
        "host": instance.host_info.host,
        "port": instance.host_info.port,
        "stores": sorted(instance.state_store_names),
        "partitions": _partitions(instance.topic_partitions),
        "standby_stores": sorted(instance.standby_state_store_names),
        "standby_partitions": _partitions(instance.standby_topic_partitions),
    }


def _partitions(partitions: frozenset[TopicPartition]) -> Sequence[str]:
    return [f"{each.topic}-{each.partition}" for each in sorted(partitions)]
