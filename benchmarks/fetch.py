"""Measures reading from a real broker on this machine: from its socket to chunks, nothing else.

`python -m benchmarks.fetch [RECORDS [PARTITIONS]]` starts a local Kafka, writes records of 110 B, reads them once to
warm the broker up and once measured, and prints one JSON line.
"""

import json
import sys
import time
from resource import RUSAGE_SELF, getrusage
from typing import Any

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.batch import codec
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.reader import KafkaReader
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka

_TOPIC = "in"
_BATCH = 8_000  # of these records a batch has just below 1 MB, the broker's limit


def _fill(settings: ConnectionSettings, partitions: int, records: int) -> None:
    from kafka.protocol.producer import ProduceRequest

    topic_of = ProduceRequest.TopicProduceData
    network = Network(settings, purpose="bench")
    network.connect()
    for first in range(0, records, _BATCH):
        count = min(_BATCH, records - first)
        keys: list[bytes | None] = [b"k%09d" % i for i in range(first, first + count)]
        values: list[bytes | None] = [b"v%09d" % i + b"." * 90 for i in range(first, first + count)]
        batch, end = codec.encode_batch(keys, values, [0] * count, None, 0, 1_000_000)
        assert end == count
        data = topic_of.PartitionProduceData(index=first // _BATCH % partitions, records=batch)
        topics = [topic_of(name=_TOPIC, partition_data=[data])]
        request: Any = ProduceRequest(
            version=7, transactional_id=None, acks=-1, timeout_ms=30_000, topic_data=topics
        )
        _send(network, request)
    network.close()


def _send(network: Network, request: Any) -> None:
    deadline = time.monotonic() + 10
    while code := network.call(request, node_id=0).responses[0].partition_responses[0].error_code:
        # Of a topic just made, the broker says for a moment that it does not lead it.
        if code != ErrorCode.NOT_LEADER_OR_FOLLOWER or time.monotonic() > deadline:
            raise LogError(f"cannot fill the topic: {ErrorCode(code).name}")
        network.pump(20)


def _processor_seconds() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _read(settings: ConnectionSettings, partitions: int, records: int) -> tuple[float, float]:
    """Return the seconds and the processor's seconds that reading everything takes."""
    reader = KafkaReader(settings, KafkaOptions.of({}))
    reader.assign({TopicPartition(_TOPIC, number): 0 for number in range(partitions)})
    started, started_processor = time.perf_counter(), _processor_seconds()
    count = 0
    while count < records:
        for chunk in reader.poll(1000):
            count += len(chunk)
    found = time.perf_counter() - started, _processor_seconds() - started_processor
    reader.close()
    return found


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    partitions = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with LocalKafka() as kafka:
        kafka.create_topic(_TOPIC, partitions)
        settings = ConnectionSettings.of(kafka.client_properties)
        _fill(settings, partitions, records)
        _read(settings, partitions, records)
        seconds, processor = _read(settings, partitions, records)
    print(
        json.dumps(
            {
                "workload": "fetch",
                "codec": codec.chosen.name,
                "records": records,
                "partitions": partitions,
                "records_per_second": round(records / seconds),
                "cpu_us_per_record": round(processor / records * 1e6, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
