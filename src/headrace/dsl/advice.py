"""What to write instead of operators that are not there: of Kafka Streams, which are to come, and of others."""

from collections.abc import Mapping

from headrace.base.advice import no_attribute

__all__ = ["no_operator"]

_FINAL_RESULTS = (
    "aggregate first, then hold its updates back: count().suppress(hr.until_window_closes()) gives final results "
    "alone"
)
_GROUP_TO_COGROUP = "group first: group_by_key().cogroup(aggregator), then cogroup(other, aggregator)"
_GROUP_FIRST = "group first: group_by_key() or group_by(selector), then this"
_WINDOW_FIRST = (
    "group first: group_by_key().windowed_by(hr.TimeWindows(size, grace=…)), then count() or aggregate()"
)
_TO_STREAM_FIRST = "a table's updates are a stream: to_stream(), then this"
_PROCESS = (
    "write process(), whose function or class takes records, uses stores, and gives any number of records"
)
_PROCESS_VALUES = "write process_values(), which keeps the key"

#: By the class's name and the operator's, in Python's spelling.
_INSTEAD: Mapping[str, Mapping[str, str]] = {
    "KStream": {
        "transform": _PROCESS,
        "flat_transform": _PROCESS,
        "transform_values": _PROCESS_VALUES,
        "flat_transform_values": _PROCESS_VALUES,
        "through": "write to(topic) and read it with builder.stream(topic), or repartition() for an internal topic",
        "branch": "write split().branch(predicate).default_branch(), or split_by(predicate) for two",
        "suppress": (
            "a table's updates are held back: windowed_by(…).count().suppress(hr.until_window_closes()), or "
            "to_table().suppress(hr.until_time_limit('5m'))"
        ),
        "cogroup": _GROUP_TO_COGROUP,
        "windowed_by": _WINDOW_FIRST,
        "count": _GROUP_FIRST,
        "reduce": _GROUP_FIRST,
        "aggregate": _GROUP_FIRST,
        "to_stream": "it is a stream already",
        "get_state_store": "stores are named in process(processor, store)",
        # Faust
        "take": "write group_by_key().windowed_by(…).aggregate(…), or process() with a store and a punctuation",
        "enumerate": "keep a counter in the store of a process()",
        "sink": "write foreach(), or to(topic)",
        # Quix Streams
        "apply": "write map_values(mapper), or map(mapper) where the key changes",
        "update": "write peek(action), or map_values(mapper)",
        "to_topic": "write to(topic)",
        "drop": "write map_values(mapper)",
        "fill": "write map_values(mapper)",
        "set_timestamp": "the source takes it: builder.stream(topic, timestamp=…)",
        "tumbling_window": _WINDOW_FIRST,
        "hopping_window": _WINDOW_FIRST,
        "sliding_window": _WINDOW_FIRST,
        "concat": "write merge(other)",
        "join_asof": "write join(table, joiner)",
    },
    "KTable": {
        "queryable_store_name": "write store_name",
        "to_table": "it is a table already",
        **dict.fromkeys(
            (
                "to",
                "foreach",
                "peek",
                "map",
                "flat_map",
                "flat_map_values",
                "select_key",
                "process",
            ),
            _TO_STREAM_FIRST,
        ),
        "group_by_key": "write group_by(lambda key, value: (key, value)); to_stream(), then this groups the updates",
        **dict.fromkeys(("process_values", "merge", "split", "repartition", "print"), _TO_STREAM_FIRST),
    },
    "GlobalKTable": {
        "queryable_store_name": "write store_name",
        "join": "join a stream with it: stream.join(global_table, joiner, on=…)",
        "left_join": "join a stream with it: stream.left_join(global_table, joiner, on=…)",
        **dict.fromkeys(
            ("to_stream", "filter", "map_values", "group_by", "to", "foreach", "peek"),
            "a global table is only looked up, by joins and queries: builder.table(topic) makes one with operators",
        ),
    },
    "KGroupedStream": {
        "sum": "write aggregate(int, lambda key, value, total: total + value)",
        "tumbling_window": "write windowed_by(hr.TimeWindows(size, grace=…))",
        "hopping_window": "write windowed_by(hr.TimeWindows(size, advance=…, grace=…))",
    },
    "CogroupedKStream": {
        "count": "its aggregators say what is done: aggregate(int), with aggregators that add one",
        "reduce": "its aggregators say what is done: aggregate(init)",
    },
    "KGroupedTable": {
        "cogroup": "join() the tables; or cogroup their updates: to_stream().group_by_key().cogroup(…)",
        "windowed_by": "a table's rows have no windows: to_stream().group_by(…) groups its updates, which have",
        "sum": "write reduce(lambda total, value: total + value, lambda total, value: total - value)",
    },
    "TimeWindowedKStream": {
        "emit_strategy": "write windowed_by(windows, emit='close')",
        "suppress": _FINAL_RESULTS,
        "cogroup": "cogroup first: group_by_key().cogroup(…).windowed_by(…)",
        "windowed_by": "it is windowed already: count(), reduce() or aggregate() make a table of it",
    },
    "TimeWindowedCogroupedKStream": {
        "emit_strategy": _FINAL_RESULTS,
    },
    "BranchedKStream": {
        "default": "write default_branch()",
    },
    "StreamsBuilder": {
        "add_source": "write stream(topic); or build by hand, beginning with hr.Topology()",
        "add_processor": "write stream(topic).process(processor); or build by hand, beginning with hr.Topology()",
        "add_sink": "write stream(topic).to(topic); or build by hand, beginning with hr.Topology()",
        "dataframe": "write stream(topic)",
        "topic": "write hr.Topic(name, key=…, value=…)",
        "agent": "write stream(topic).process(processor), or foreach(action)",
    },
}


def no_operator(of: object, name: str) -> AttributeError:
    """Make the error of an operator that a stream, a table or a builder lacks."""
    kind = type(of)
    return no_attribute(kind.__name__, name, dir(kind), _INSTEAD.get(kind.__name__, {}))
