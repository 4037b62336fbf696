"""How metrics are called outside: by Prometheus, and by OpenTelemetry. Names follow from group and name."""

from collections.abc import Mapping

from headrace.metrics.declaration import Declaration

__all__ = ["APPLICATION", "is_exported", "labels_of", "opentelemetry_name", "prometheus_name"]

#: What each series has beside its own tags, so that applications can be told apart.
APPLICATION = "application_id"

#: Texts that change, or are too long to be told with each look.
_KEPT_HERE = frozenset({"topology-description", "state"})
_STATE_ID = "-state-id"


def is_exported(declaration: Declaration) -> bool:
    """Whether a metric leaves the process: numbers, and texts that stay what they are."""
    return declaration.kind != "text" or declaration.name not in _KEPT_HERE


def prometheus_name(declaration: Declaration) -> str:
    """Return the name of the series in Prometheus.

    >>> from headrace.metrics.catalogue import declared
    >>> prometheus_name(declared("stream-task-metrics", "process-total"))
    'kafka_stream_task_process_total'
    >>> prometheus_name(declared("stream-task-metrics", "restore-remaining-records-total"))
    'kafka_stream_task_restore_remaining_records'
    >>> prometheus_name(declared("stream-metrics", "version"))
    'kafka_stream_version_info'
    """
    stem = f"kafka_{_stem(declaration).replace('-', '_')}"
    return stem + {"counter": "_total", "gauge": "", "text": "_info"}[declaration.kind]


def opentelemetry_name(declaration: Declaration) -> str:
    """Return the name of the instrument in OpenTelemetry, as KIP-714 makes it.

    >>> from headrace.metrics.catalogue import declared
    >>> opentelemetry_name(declared("stream-task-metrics", "process-latency-avg"))
    'org.apache.kafka.stream.task.process.latency.avg'
    """
    total = "-total" if declaration.kind == "counter" else ""
    return f"org.apache.kafka.{(_stem(declaration) + total).replace('-', '.')}"


def _stem(declaration: Declaration) -> str:
    # What may fall is no total: Prometheus would take the fall for a new beginning.
    return f"{declaration.group.removesuffix('-metrics')}-{declaration.name.removesuffix('-total')}"


def labels_of(tags: Mapping[str, str], application_id: str) -> dict[str, str]:
    """Return a series' labels. A store has the same ones whatever it is: `state_id`, and its kind as `store_type`.

    >>> labels_of({"task-id": "0_1", "rocksdb-window-state-id": "hours"}, "shop")
    {'application_id': 'shop', 'task_id': '0_1', 'state_id': 'hours', 'store_type': 'rocksdb-window'}
    """
    labels = {APPLICATION: application_id}
    for tag, value in tags.items():
        if tag == "application-id":
            continue
        if tag.endswith(_STATE_ID):
            labels |= {"state_id": value, "store_type": tag.removesuffix(_STATE_ID)}
        else:
            labels[tag.replace("-", "_")] = value
    return labels
