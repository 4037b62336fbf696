"""What to write instead of methods of Java's `TopologyTestDriver` that the driver lacks."""

from collections.abc import Mapping

__all__ = ["DRIVER_INSTEAD", "INPUT_INSTEAD", "OUTPUT_INSTEAD"]

_STORE = "write store(STORE), with the declared store or its name"

DRIVER_INSTEAD: Mapping[str, str] = {
    "create_input_topic": "write input(TOPIC)",
    "create_output_topic": "write output(TOPIC)",
    "advance_wall_clock_time": 'write advance("5s")',
    "get_state_store": _STORE,
    "get_key_value_store": _STORE,
    "get_timestamped_key_value_store": _STORE,
    "get_window_store": _STORE,
    "get_timestamped_window_store": _STORE,
    "get_all_state_stores": "write stores",
    "get_session_store": _STORE,
    "get_versioned_key_value_store": _STORE,
    "pipe_input": "write input(TOPIC).pipe(key, value)",
    "read_output": "write output(TOPIC).read()",
    "produced_topic_names": "write produced_topics",
}

INPUT_INSTEAD: Mapping[str, str] = {
    "pipe_input": "write pipe(key, value, timestamp)",
    "pipe_value_list": "write pipe_values(values)",
    "pipe_key_value_list": "write pipe_all(pairs)",
    "pipe_record_list": "write pipe_all(records)",
    "advance_time": "write advance(time); driver.advance() moves the wall clock",
}

OUTPUT_INSTEAD: Mapping[str, str] = {
    "read_key_value": "write read_pair()",
    "read_record": "write read()",
    "read_records_to_list": "write read_all()",
    "read_key_values_to_list": "write read_pairs()",
    "read_key_values_to_map": "write read_table()",
    "read_values_to_list": "write read_values()",
    "is_empty": "write len(topic) == 0",
    "get_queue_size": "write len(topic)",
}
