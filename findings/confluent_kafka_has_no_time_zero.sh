#!/usr/bin/env bash
# confluent-kafka 2.16.1: produce(timestamp=0) writes the present time, since 0 stands for "not given"; 1 is written as 1.
# So the epoch itself, which test data and backfills begin with, cannot be written, and nothing says so. A window that
# should begin at 0 stays empty, and stream time leaps to today: every record after it is late.
# Guessed: the record has the time 0, as with Java's producer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1
timeout 60 "$folder/venv/bin/python" - <<'PYTHON'
import time

from confluent_kafka import Consumer, Producer, TopicPartition

# librdkafka brings a broker of its own for tests.
producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
servers = ",".join(f"{each.host}:{each.port}" for each in producer.list_topics(timeout=10).brokers.values())
for timestamp in (0, 1):
    producer.produce("times", b"value", partition=0, timestamp=timestamp)
assert producer.flush(10) == 0

consumer = Consumer({"bootstrap.servers": servers, "group.id": "any", "log_level": 0})
consumer.assign([TopicPartition("times", 0, 0)])
found: list[int] = []
until = time.monotonic() + 20
while len(found) < 2 and time.monotonic() < until:
    message = consumer.poll(1)
    if message is not None and message.error() is None:
        found.append(message.timestamp()[1])
consumer.close()
print("written with 0 and 1, read as", found)     # [1795916836528, 1]
assert abs(found[0] / 1000 - time.time()) < 120 and found[1] == 1
PYTHON
