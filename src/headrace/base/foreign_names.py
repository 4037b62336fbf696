"""What to write instead of names that `headrace` and `headrace.stores` lack: Java's, others', and what is to come."""

from collections.abc import Mapping

__all__ = ["INSTEAD", "STORES_INSTEAD"]

_SERDES = "a topic carries its serdes, hr.Topic(name, key=…, value=…); an operator takes key= and value= for its result"
_REGISTRY = "write hr.registry.avro(Order), .protobuf(Order) or .json_schema(Order), the serde of a topic"
_PROCESSOR = "write hr.Processor, or @hr.processor() on a function"
_FIXED_KEY = "write hr.FixedKeyProcessor, for process_values()"
_VERSIONED = "write stores.versioned(name, history=…)"
_STORES = "write `from headrace import stores`, then stores.key_value(name, …) or stores.window(name, …)"
_READ_STORE = "write `from headrace.stores import {}`"
_LAMBDA = "write a function"

#: Of the package `headrace`.
INSTEAD: Mapping[str, str] = {
    "Windows": "write hr.TimeWindows(size, grace=…)",
    "TumblingWindow": "write hr.TimeWindows(size, grace=…)",
    "HoppingWindow": "write hr.TimeWindows(size, advance=…, grace=…)",
    "BufferConfig": "hr.until_window_closes() and hr.until_time_limit('5m') take max_records= and max_bytes=",
    "EmitStrategy": "windowed_by(windows, emit='close') lets the result of each window leave once, when it closes",
    "Consumed": f"{_SERDES}; builder.stream() takes timestamp=, offset_reset= and name=",
    "Produced": f"{_SERDES}; to() takes partitioner= and name=",
    "Grouped": "group_by() and group_by_key() take key=, value= and name=",
    "Joined": "join() takes value= and name=",
    "StreamJoined": "join() takes within=, value=, name=, and store=, with a name or hr.JoinStores(…)",
    "TableJoined": "table.join(other, joiner, on=…) takes partitioner=, other_partitioner= and name=",
    "Repartitioned": "repartition() takes partitions=, partitioner=, key=, value= and name=",
    "Branched": "branch() takes name= and then=",
    "Named": "operators take name=",
    "Printed": "print() takes a label, file= and format=",
    "Materialized": "store= takes a name, or stores.key_value(name, key=…, value=…) of `from headrace import stores`",
    "Stores": _STORES,
    "StoreBuilder": _STORES,
    "QueryableStoreTypes": "streams.query(STORE) takes the declared store",
    "StoreQueryParameters": "streams.query(STORE) takes the declared store",
    "Serdes": "write a class (str, int, float, bytes, a dataclass), or hr.string, hr.int64, hr.json(Order) and so on",
    "avro": _REGISTRY,
    "protobuf": _REGISTRY,
    "json_schema": _REGISTRY,
    "AvroSerializer": _REGISTRY,
    "AvroDeserializer": _REGISTRY,
    "JSONSerializer": _REGISTRY,
    "JSONDeserializer": _REGISTRY,
    "ProtobufSerializer": _REGISTRY,
    "ProtobufDeserializer": _REGISTRY,
    "SpecificAvroSerde": _REGISTRY,
    "GenericAvroSerde": _REGISTRY,
    "PrimitiveAvroSerde": _REGISTRY,
    "KafkaProtobufSerde": _REGISTRY,
    "KafkaJsonSchemaSerde": _REGISTRY,
    "SchemaRegistryClient": "the property schema.registry.url says where the registry is, for serdes of hr.registry",
    "KafkaStreams": "write hr.Streams(topology, application_id=…, bootstrap_servers=…)",
    "StreamsConfig": "write hr.Config(application_id=…, …), or give the properties to hr.Streams",
    "AutoOffsetReset": 'builder.stream(topic, offset_reset="latest"), or "earliest", "none", or a timedelta',
    "TopologyTestDriver": "write `from headrace.testing import TopologyTestDriver`",
    "TestInputTopic": "driver.input(TOPIC) makes one",
    "TestOutputTopic": "driver.output(TOPIC) makes one",
    "KeyValue": "write a pair, (key, value)",
    "ValueAndTimestamp": "streams.query(STORE).get(key) gives the value",
    "Transformer": _PROCESSOR,
    "ValueTransformer": _FIXED_KEY,
    "ValueTransformerWithKey": _FIXED_KEY,
    "ContextualProcessor": _PROCESSOR,
    "ContextualFixedKeyProcessor": _FIXED_KEY,
    "FixedKeyRecord": "a FixedKeyProcessor returns or yields values",
    "Punctuator": "self.context.schedule(interval, function, on=…) takes a function of the time",
    "PunctuationType": 'self.context.schedule(interval, function, on="stream"), or "wall"',
    "TimestampExtractor": "builder.stream(topic, timestamp=function) takes a function of record and partition time",
    "FailOnInvalidTimestamp": "a record without a timestamp goes to the processing handler; timestamp= may find one",
    "LogAndSkipOnInvalidTimestamp": "write timestamp=lambda record, time: record.timestamp, which drops negative ones",
    "UsePartitionTimeOnInvalidTimestamp": (
        "write timestamp=lambda record, time: record.timestamp if record.timestamp >= 0 else time"
    ),
    "WallclockTimestampExtractor": (
        "write timestamp=lambda record, time: time_ns() // 1_000_000, with Python's time.time_ns"
    ),
    "StreamPartitioner": (
        "to(topic, partitioner=function) takes a function of topic, key, value and partition count; "
        "hr.with_headers(function) is given the headers before the count"
    ),
    "TopicNameExtractor": "to(function) takes a function of key, value and metadata that names the topic",
    "DeserializationExceptionHandler": "a handler is a function of a hr.Failure that returns a hr.Reaction",
    "ProcessingExceptionHandler": "a handler is a function of a hr.Failure that returns a hr.Reaction",
    "ProductionExceptionHandler": "a handler is a function of a hr.Failure that returns a hr.Reaction",
    "LogAndContinueExceptionHandler": "write hr.log_and_continue",
    "LogAndFailExceptionHandler": "write hr.log_and_fail",
    "KeyValueStore": _READ_STORE.format("KeyValueStore"),
    "WindowStore": _READ_STORE.format("WindowStore"),
    "SessionStore": _READ_STORE.format("SessionStore"),
    "VersionedKeyValueStore": _READ_STORE.format("VersionedStore"),
    "ReadOnlyKeyValueStore": _READ_STORE.format("ReadOnlyKeyValueStore"),
    "ReadOnlySessionStore": _READ_STORE.format("ReadOnlySessionStore"),
    "ReadOnlyWindowStore": _READ_STORE.format("ReadOnlyWindowStore"),
    **dict.fromkeys(
        (
            "Aggregator",
            "Initializer",
            "Reducer",
            "Merger",
            "Predicate",
            "KeyValueMapper",
            "ValueMapper",
            "ValueJoiner",
        ),
        _LAMBDA,
    ),
    "App": "write hr.StreamsBuilder(), describe the topology, and run it with hr.Streams(builder.build(), …)",
    "Application": "write hr.StreamsBuilder(), describe the topology, and run it with hr.Streams(builder.build(), …)",
    "StreamingDataFrame": "builder.stream(topic) makes a KStream",
    "Stream": "builder.stream(topic) makes a KStream",
    "Table": "builder.table(topic) makes a KTable",
}

#: Of the module `headrace.stores`.
STORES_INSTEAD: Mapping[str, str] = {
    "versioned_key_value": _VERSIONED,
    "persistent_key_value_store": "write stores.key_value(name, …)",
    "persistent_timestamped_key_value_store": "write stores.key_value(name, …)",
    "persistent_versioned_key_value_store": _VERSIONED,
    "in_memory_key_value_store": 'write stores.key_value(name, engine="memory", …)',
    "lru_map": "write stores.lru(name, max_rows=…, …)",
    "persistent_window_store": "write stores.window(name, size=…, retention=…, …)",
    "persistent_timestamped_window_store": "write stores.window(name, size=…, retention=…, …)",
    "in_memory_window_store": 'write stores.window(name, size=…, retention=…, engine="memory", …)',
    "persistent_session_store": "write stores.session(name, retention=…, …)",
    "in_memory_session_store": 'write stores.session(name, retention=…, engine="memory", …)',
    "key_value_store_builder": "write stores.key_value(name, …)",
    "window_store_builder": "write stores.window(name, size=…, retention=…, …)",
    "timestamped_key_value_store_builder": "write stores.key_value(name, …)",
    "timestamped_window_store_builder": "write stores.window(name, size=…, retention=…, …)",
    "timestamped_key_value_store_with_headers_builder": "write stores.key_value(name, headers=True, …)",
    "timestamped_window_store_with_headers_builder": "write stores.window(name, size=…, retention=…, headers=True, …)",
    "session_store_with_headers_builder": "write stores.session(name, retention=…, headers=True, …)",
    "ValueTimestampHeaders": "write Stamped",
    "ValueAndTimestamp": "write Stamped",
    "VersionedKeyValueStore": "write VersionedStore",
}
