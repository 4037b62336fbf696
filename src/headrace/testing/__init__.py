"""Testing without a log to run: the same engine on a log in memory, with a clock that the test owns."""

from headrace.testing.driver import TopologyTestDriver, run
from headrace.testing.local_kafka import LocalKafka
from headrace.testing.topics import InputTopic, OutputTopic

__all__ = ["InputTopic", "LocalKafka", "OutputTopic", "TopologyTestDriver", "run"]
