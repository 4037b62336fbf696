"""What a commit on a local broker takes: ms by number of partitions touched, as JSON lines, for both guarantees.

Run it with `.venv/bin/python benchmarks/commit.py`. One thread, one broker on the same machine, records of 110 bytes;
the time from the call of `commit` to its return. Also what appending costs, encoding and sending included.
"""

import json
import statistics
import time

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.kafka.batch.codec import chosen
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.opening import open_writer
from headrace.kafka.produce.writer import KafkaWriter
from headrace.log.port import CommittedOffset, TopicInfo
from headrace.testing import LocalKafka

PARTITIONS = 64
COMMITS = 150
WARM_UP = 150
RECORDS_PER_PARTITION = 10
BULK = 5_000
BULK_COUNT = 100


def columns(count: int) -> Columns:
    found = Columns()
    for index in range(count):
        found.append(b"%010d" % index, b"v" * 100, 1_700_000_000_000 + index, ())
    return found


def commits(writer: KafkaWriter, partitions: int) -> list[float]:
    """Return how long each commit took, in ms, the quickest first."""
    records = columns(RECORDS_PER_PARTITION)
    offsets = {TopicPartition("t", number): CommittedOffset(7, "metadata") for number in range(partitions)}
    times = []
    for _ in range(COMMITS):
        for number in range(partitions):
            writer.append("t", number, records)
        began = time.perf_counter()
        writer.commit(offsets)
        times.append((time.perf_counter() - began) * 1000)
        # As in an application, where 100 ms lie between commits: the markers of the last one are written meanwhile.
        time.sleep(0.02)
    return sorted(times)


def bulk(writer: KafkaWriter) -> tuple[float, float]:
    """Return what a record takes and costs (us, CPU us), from append to the end of the commit, to 4 partitions."""
    records = columns(BULK)
    began, worked = time.perf_counter(), time.process_time()
    for number in range(BULK_COUNT):
        writer.append("t", number % 4, records)
    writer.commit({})
    count = BULK * BULK_COUNT / 1e6
    return round((time.perf_counter() - began) / count, 3), round((time.process_time() - worked) / count, 3)


def main() -> None:
    settings = ["-Xmx1g", "-XX:TieredStopAtLevel=4"]
    guarantees = (
        ("exactly_once", "id", None),
        ("exactly_once, older protocol", "old", False),
        ("at_least_once", None, None),
    )
    with LocalKafka(jvm_options=settings) as kafka:
        kafka.create_topic("t", PARTITIONS)
        for guarantee, name, is_newest in guarantees:
            writer = open_writer(
                ConnectionSettings.of(kafka.client_properties),
                KafkaOptions.of({}),
                "group",
                name,
                topics=lambda topic: TopicInfo(topic, PARTITIONS, "id"),
                is_newest_protocol=is_newest,
            )
            for _ in range(WARM_UP // COMMITS):
                commits(writer, 16)
            for partitions in (1, 16, 64):
                times = commits(writer, partitions)
                line = {
                    "guarantee": guarantee,
                    "partitions": partitions,
                    "p50_ms": round(statistics.median(times), 2),
                    "p99_ms": round(times[int(len(times) * 0.99)], 2),
                }
                print(json.dumps(line), flush=True)
            bulk(writer)
            taken, cost = bulk(writer)
            per_record = {
                "guarantee": guarantee,
                "codec": chosen.name,
                "us_a_record": taken,
                "cpu_us_a_record": cost,
            }
            print(json.dumps(per_record), flush=True)
            writer.close()


if __name__ == "__main__":
    main()
