"""All properties there are: those that the rooms declare, and those of Kafka Streams that belong elsewhere."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.base.errors import ConfigError
from headrace.base.options import Option, by_name
from headrace.engine import options as engine_options
from headrace.kafka import options as kafka_options
from headrace.streams import options as streams_options

__all__ = ["OPTIONS", "lookup"]

#: Every property that can be set, in the order in which they are explained.
OPTIONS: Mapping[str, Option[Any]] = by_name(
    [*streams_options.OPTIONS, *engine_options.OPTIONS, *kafka_options.OPTIONS]
)

_FIELDS = {option.field: option for option in OPTIONS.values()}

# What shapes a topology comes too late when it is finished. Kafka Streams ignores some of these silently.
_TOPOLOGY = {
    "topology.optimization": 'StreamsBuilder(optimize="all")',
    "ensure.explicit.internal.resource.naming": "StreamsBuilder(explicit_names=True)",
    "default.dsl.store": 'StreamsBuilder(engine="memory")',
    "dsl.store.suppliers.class": 'StreamsBuilder(engine="memory")',
    "default.timestamp.extractor": "stream(…, timestamp=…)",
}
_SERDES = frozenset(
    {
        "default.key.serde",
        "default.value.serde",
        "default.list.key.serde.inner",
        "default.list.key.serde.type",
        "default.list.value.serde.inner",
        "default.list.value.serde.type",
        "windowed.inner.class.serde",
        "window.size.ms",
    }
)
_CLIENT_PREFIXES = (
    "main.consumer.",
    "restore.consumer.",
    "global.consumer.",
    "consumer.",
    "producer.",
    "admin.",
)

# The rest of Kafka Streams 4.3.1. They are no mistakes of spelling, so they get an answer of their own.
_KAFKA_ONLY = frozenset(
    {
        "acceptable.recovery.lag",
        "allow.os.group.write.access",
        "auto.include.jmx.reporter",
        "buffered.records.per.partition",
        "built.in.metrics.version",
        "cache.max.bytes.buffering",
        "config.providers",
        "default.client.supplier",
        "default.deserialization.exception.handler",
        "default.production.exception.handler",
        "dsl.store.format",
        "enable.metrics.push",
        "log.summary.interval.ms",
        "max.warmup.replicas",
        "metadata.recovery.rebootstrap.trigger.ms",
        "metadata.recovery.strategy",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "probing.rebalance.interval.ms",
        "processing.exception.handler.global.enabled",
        "processor.wrapper.class",
        "rack.aware.assignment.non_overlap_cost",
        "rack.aware.assignment.strategy",
        "rack.aware.assignment.tags",
        "rack.aware.assignment.traffic_cost",
        "receive.buffer.bytes",
        "rocksdb.config.setter",
        "send.buffer.bytes",
        "state.cleanup.delay.ms",
        "state.cleanup.dir.max.age.ms",
        "task.assignor.class",
        "task.timeout.ms",
        "upgrade.from",
    }
)


def lookup(name: str) -> Option[Any]:
    """Return a property by Kafka's name, or by its field (`commit_interval_ms`).

    Raises:
        ConfigError: there is none; says what to write instead, or that the property belongs elsewhere.
    """
    option = OPTIONS.get(name) or _FIELDS.get(name)
    if option is not None:
        return option
    dotted = {word.replace(".", "_"): word for word in (*_TOPOLOGY, *_SERDES, *_KAFKA_ONLY)}
    known = dotted.get(name, name)
    if known in _TOPOLOGY:
        raise ConfigError(
            f"{name} shapes the topology, which is finished by now: write {_TOPOLOGY[known]} instead"
        )
    if known in _SERDES:
        raise ConfigError(
            f"{name} is not read: a topic carries its serdes, so write Topic(name, key=…, value=…), "
            f"and a changed type takes key= and value= of its operator"
        )
    if known in _KAFKA_ONLY or known.startswith(_CLIENT_PREFIXES):
        raise ConfigError(
            f"{name} is a property of Kafka Streams that this version does not support: leave it out "
            f"(`headrace config explain` lists those it has)"
        )
    raise ConfigError(f"there is no property {name!r}{_did_you_mean(name, list(_FIELDS))}")


def _did_you_mean(name: str, fields: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.replace(".", "_").lower(), fields, n=1, cutoff=0.6)
    if not near:
        return " (`headrace config explain` lists all)"
    # In the spelling of whoever asks: a field in code and the environment, Kafka's own name elsewhere.
    return f"; did you mean {_FIELDS[near[0]].name if '.' in name else near[0]}?"
