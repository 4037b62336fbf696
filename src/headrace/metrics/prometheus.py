"""Metrics for Prometheus, as text or as OpenMetrics. Needs `prometheus-client`: `pip install headrace[metrics]`.

Nothing is counted in prometheus-client: a collector reads `Streams.metrics()` when Prometheus asks. So they are right
under PROMETHEUS_MULTIPROC_DIR too, where its own gauges with functions say 0. They are those of one process: each one
that runs the application is asked for its own.
"""

import math
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from headrace.metrics.measured import Measured
from headrace.metrics.naming import is_exported, labels_of, prometheus_name

__all__ = ["StreamsCollector", "exposition"]

_TYPES = {"counter": "counter", "gauge": "gauge", "text": "info"}


class StreamsCollector(Collector):
    """Collects the metrics of applications of this process, for a registry of prometheus-client.

    REGISTRY.register(StreamsCollector(streams))

    Give all applications of a process to one collector: two with metrics of the same names would each tell their type.
    """

    def __init__(self, *applications: Measured) -> None:
        self._applications = applications

    def describe(self) -> Iterable[Family]:
        """Say nothing: a registry that is told would ask for all metrics to find names that occur twice."""
        return []

    def collect(self) -> Iterable[Family]:
        """Return the families as they are now. Series without a value in the last minute are left out."""
        families: dict[str, Family] = {}
        for application in self._applications:
            for metric in application.metrics():
                declared = metric.declaration
                if not is_exported(declared) or (
                    isinstance(metric.value, float) and math.isnan(metric.value)
                ):
                    continue
                name, kind = prometheus_name(declared), _TYPES[declared.kind]
                family = families.get(name)
                if family is None:
                    unit = f" ({declared.unit})" if declared.unit else ""
                    stem = name.removesuffix("_total").removesuffix("_info") if kind != "gauge" else name
                    family = families[name] = Family(stem, f"{declared.text}{unit}", kind)
                labels = labels_of(metric.tags, application.application_id)
                if isinstance(metric.value, str):
                    family.add_sample(name, {**labels, "value": metric.value}, 1)
                else:
                    family.add_sample(name, labels, metric.value)
        return families.values()


def exposition(*applications: Measured, accept: str = "") -> tuple[str, bytes]:
    """Return the metrics of applications of this process as Prometheus reads them: content type and body.

    `accept` is the header of the request: who takes OpenMetrics gets it.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StreamsCollector(*applications))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
