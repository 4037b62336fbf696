"""Testing: the same engine on a log in memory, with a clock that the test owns; and a real Kafka beside the test."""

from headrace.testing.driver import TopologyTestDriver, run
from headrace.testing.local_kafka.cluster import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from headrace.testing.processor_context import Forwarded, MockProcessorContext, Scheduled
from headrace.testing.topics import InputTopic, OutputTopic

__all__ = [
    "Forwarded",
    "InputTopic",
    "JavaRecord",
    "LocalKafka",
    "MockProcessorContext",
    "OutputTopic",
    "Scheduled",
    "TopologyTestDriver",
    "run",
]
