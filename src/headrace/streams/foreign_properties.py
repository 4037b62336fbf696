"""What to write instead of a property that is not there: names of Kafka Streams, of other clients and libraries.

Source of the names: Kafka's `StreamsConfig`, `ConsumerConfig` and `ProducerConfig` of 4.3, librdkafka's
CONFIGURATION.md, kafka-python's and aiokafka's arguments, and those of `faust.App` and `quixstreams.Application`.
"""

import difflib
import re
from collections.abc import Mapping

__all__ = ["advice"]

#: Another name of a property, with dots, and what it is called here.
_RENAMED = {
    # librdkafka
    "metadata.broker.list": "bootstrap.servers",
    "ssl.ca.location": "ssl.truststore.location",
    "ssl.ca.pem": "ssl.truststore.certificates",
    "ssl.certificate.location": "ssl.keystore.location",
    "ssl.certificate.pem": "ssl.keystore.certificate.chain",
    "ssl.key.location": "ssl.keystore.location",
    "ssl.key.pem": "ssl.keystore.key",
    "sasl.mechanisms": "sasl.mechanism",
    "sasl.oauthbearer.client.id": "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.secret": "sasl.oauthbearer.client.credentials.client.secret",
    "compression.codec": "compression.type",
    "message.timeout.ms": "delivery.timeout.ms",
    "message.max.bytes": "max.request.size",
    "socket.timeout.ms": "request.timeout.ms",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
    "fetch.wait.max.ms": "fetch.max.wait.ms",
    "topic.metadata.refresh.interval.ms": "metadata.max.age.ms",
    # kafka-python and aiokafka
    "sasl.plain.username": "sasl.username",
    "sasl.plain.password": "sasl.password",
    "sasl.oauth.token.provider": "sasl.oauthbearer.token.provider",
    "ssl.cafile": "ssl.truststore.location",
    "ssl.cadata": "ssl.truststore.certificates",
    "ssl.certfile": "ssl.keystore.location",
    "ssl.keyfile": "ssl.keystore.location",
    "ssl.password": "ssl.key.password",
    # Confluent's serdes
    "basic.auth.credentials.source": "schema.registry.basic.auth.credentials.source",
    "basic.auth.user.info": "schema.registry.basic.auth.user.info",
    "bearer.auth.credentials.source": "schema.registry.bearer.auth.credentials.source",
    "bearer.auth.token": "schema.registry.bearer.auth.token",
    "bearer.auth.client.id": "schema.registry.bearer.auth.client.id",
    "bearer.auth.client.secret": "schema.registry.bearer.auth.client.secret",
    "bearer.auth.issuer.endpoint.url": "schema.registry.bearer.auth.issuer.endpoint.url",
    "bearer.auth.scope": "schema.registry.bearer.auth.scope",
    # Faust
    "broker": "bootstrap.servers",
    "id": "application.id",
    "datadir": "state.dir",
    "broker.client.id": "client.id",
    "broker.commit.interval": "commit.interval.ms",
    "broker.request.timeout": "request.timeout.ms",
    "topic.replication.factor": "replication.factor",
    # Quix Streams
    "broker.address": "bootstrap.servers",
    "consumer.group": "application.id",
    "commit.interval": "commit.interval.ms",
    "on.processing.error": "processing.exception.handler",
    "on.consumer.error": "deserialization.exception.handler",
    "on.producer.error": "production.exception.handler",
    # what people say
    "brokers": "bootstrap.servers",
    "app.id": "application.id",
    "group.id": "application.id",
    "dead.letter.queue": "errors.dead.letter.queue.topic.name",
    "dlq": "errors.dead.letter.queue.topic.name",
    "cache.size": "statestore.cache.max.bytes",
    # earlier names of Kafka Streams, and the nearest of what it has for the same purpose
    "auto.commit.interval.ms": "commit.interval.ms",
    "buffered.records.per.partition": "input.buffer.max.bytes",
    "cache.max.bytes.buffering": "statestore.cache.max.bytes",
    "default.deserialization.exception.handler": "deserialization.exception.handler",
    "default.production.exception.handler": "production.exception.handler",
}

#: What has another place, or is as it should be without anybody's doing.
_ELSEWHERE = {
    "auto.offset.reset": 'each source has its own: builder.stream(topic, offset_reset="latest"); else it is "earliest"',
    "isolation.level": "leave it out: only committed records are read",
    "enable.auto.commit": "leave it out: offsets are committed with the results, every commit.interval.ms",
    "commit.every": "leave it out: offsets are committed with the results, every commit.interval.ms",
    "enable.idempotence": "leave it out: the producer is idempotent; processing.guarantee says what a crash may repeat",
    "acks": "leave it out: all replicas acknowledge",
    "transactional.id": "leave it out: it is made of application.id",
    "max.poll.records": "leave it out: input.buffer.max.bytes limits what is held, stretch.records.max one go of it",
    "partition.assignment.strategy": "leave it out: tasks are assigned, and not partitions; see group.protocol",
    "linger.ms": "leave it out: records go out as batches fill, and at the latest with the commit",
    "queue.buffering.max.ms": "leave it out: records go out as batches fill, and at the latest with the commit",
    "batch.size": "leave it out: records go out as batches fill, and at the latest with the commit",
    "buffer.memory": "leave it out: statestore.uncommitted.max.bytes limits what waits for a commit",
    "max.in.flight.requests.per.connection": "leave it out: one batch is in flight for each partition",
    "retries": "leave it out: sending is tried again until delivery.timeout.ms",
    "partitioner": "each sink has its own: stream.to(topic, partitioner=…); without it, murmur2 of the key",
    "key.serializer": "a topic carries its serdes: Topic(name, key=…, value=…)",
    "value.serializer": "a topic carries its serdes: Topic(name, key=…, value=…)",
    "key.deserializer": "a topic carries its serdes: Topic(name, key=…, value=…)",
    "value.deserializer": "a topic carries its serdes: Topic(name, key=…, value=…)",
    "use.schema.id": "a topic says it: hr.registry.avro(Order, use_id=7)",
    "specific.avro.reader": "leave it out: hr.registry.avro(Order) reads what it was made of",
    "specific.protobuf.value.type": "leave it out: hr.registry.protobuf(Order) reads what it was made of",
    "json.value.type": "leave it out: hr.registry.json_schema(Order) reads what it was made of",
    "api.version": "leave it out: the brokers are asked for theirs",
    "broker.version.fallback": "leave it out: the brokers are asked for theirs",
    "enable.ssl.certificate.verification": (
        'write ssl.endpoint.identification.algorithm="" to accept a known authority\'s certificates of other hosts'
    ),
    "ssl.check.hostname": (
        'write ssl.endpoint.identification.algorithm="" to accept a known authority\'s certificates of other hosts'
    ),
    "ssl.context": "write security.protocol, ssl.truststore.location and ssl.keystore.location",
    "broker.credentials": "write security.protocol, sasl.mechanism, sasl.username and sasl.password",
    "store": 'StreamsBuilder(engine="memory") says where stores live',
    "topics": "a topology names its topics: builder.stream(topic)",
    "topic.partitions": "a topic says it: Topic(name, partitions=…); internal ones follow those they are made of",
    "use.changelog.topics": "a store says it: stores.key_value(name, logging=False)",
    "consumer.extra.config": "write each property by its own name, in properties={…}",
    "producer.extra.config": "write each property by its own name, in properties={…}",
    "log.level": "logging.getLogger('headrace') has the levels",
    "loglevel": "logging.getLogger('headrace') has the levels",
}

# What shapes a topology comes too late when it is finished. Kafka Streams ignores some of these silently.
_TOPOLOGY = {
    "topology.optimization": 'StreamsBuilder(optimize="all")',
    "ensure.explicit.internal.resource.naming": "StreamsBuilder(explicit_names=True)",
    "default.dsl.store": 'StreamsBuilder(engine="memory")',
    "dsl.store.suppliers.class": 'StreamsBuilder(engine="memory")',
    "dsl.store.format": 'StreamsBuilder(store_format="headers")',
    "processor.wrapper.class": "StreamsBuilder(wrap_processors=…)",
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

# There is one set of clients here, whose properties are written without these.
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
        "allow.os.group.write.access",
        "auto.include.jmx.reporter",
        "built.in.metrics.version",
        "config.providers",
        "default.client.supplier",
        "enable.metrics.push",
        "log.summary.interval.ms",
        "metadata.recovery.rebootstrap.trigger.ms",
        "metadata.recovery.strategy",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.sample.window.ms",
        "rack.aware.assignment.non_overlap_cost",
        "rack.aware.assignment.strategy",
        "rack.aware.assignment.traffic_cost",
        "receive.buffer.bytes",
        "send.buffer.bytes",
        "state.cleanup.dir.max.age.ms",
        "task.assignor.class",
        "task.timeout.ms",
        "upgrade.from",
    }
)


def advice(name: str, properties: Mapping[str, str]) -> str:
    """Say what to write instead of `name`, which is none of these properties: their names, and a line on each."""
    known = _with_dots(name)
    prefix = next((each for each in _CLIENT_PREFIXES if known.startswith(each)), "")
    bare = known[len(prefix) :]
    # One of a client's own is not found under its prefix; consumer.group is no property of a consumer.
    found = known if known in _RENAMED or known in _ELSEWHERE or not prefix else bare
    if found in _RENAMED or found in properties:
        here = _RENAMED.get(found, found)
        return f"there is no property {name!r}: write {_as_asked(name, here)} instead ({properties[here].rstrip('.')})"
    if found in _ELSEWHERE:
        return f"there is no property {name!r}: {_ELSEWHERE[found]}"
    if found in _TOPOLOGY:
        return f"{name} shapes the topology, which is finished by now: write {_TOPOLOGY[found]} instead"
    if found in _SERDES:
        return (
            f"{name} is not read: a topic carries its serdes, so write Topic(name, key=…, value=…), and a changed type "
            "takes key= and value= of its operator"
        )
    if found in _KAFKA_ONLY or prefix:
        return (
            f"{name} is a property of Kafka Streams that this version does not support: leave it out (`headrace config "
            "explain` lists those it has)"
        )
    near = difflib.get_close_matches(known, [*properties, *_RENAMED], n=1, cutoff=0.75)
    if not near:
        return f"there is no property {name!r} (`headrace config explain` lists all)"
    return f"there is no property {name!r}; did you mean {_as_asked(name, _RENAMED.get(near[0], near[0]))}?"


def _with_dots(name: str) -> str:
    """Return a name in Kafka's spelling: `bootstrapServers`, `BOOTSTRAP_SERVERS_CONFIG` are `bootstrap.servers`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", ".", name).lower().replace("_", ".").replace("-", ".")
    # Some of Kafka's own names have an underscore or a dash; compare without them.
    return _SPELT.get(words, words).removesuffix(".config")


def _as_asked(name: str, property: str) -> str:
    """Return a property in the spelling of whoever asks: a field in code and environment, Kafka's name elsewhere."""
    return property if "." in name else property.replace(".", "_").replace("-", "_")


_SPELT = {name.replace("_", "."): name for name in _KAFKA_ONLY}
