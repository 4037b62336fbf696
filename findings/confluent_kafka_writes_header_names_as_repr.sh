#!/usr/bin/env bash
# confluent-kafka 2.16.1: a header's name that is given as bytes becomes the text of its repr: b"trace" is written as
# "b'trace'". No error, while a value of a wrong type is refused. Whoever looks for the header by its name, a dead-letter
# handler or a tracer, finds none. The delivery report does not help: its message has no headers at all.
# Guessed: bytes are taken as the name, as they are for values, or refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1
timeout 60 "$folder/venv/bin/python" - <<'PYTHON'
import time

from confluent_kafka import Consumer, Producer, TopicPartition

producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
servers = ",".join(f"{each.host}:{each.port}" for each in producer.list_topics(timeout=10).brokers.values())
reported: list[object] = []
producer.produce(
    "headers", b"value", partition=0, headers=[(b"trace", b"1")],
    on_delivery=lambda error, message: reported.append(message.headers()),
)
assert producer.flush(10) == 0

consumer = Consumer({"bootstrap.servers": servers, "group.id": "any", "log_level": 0})
consumer.assign([TopicPartition("headers", 0, 0)])
headers = None
until = time.monotonic() + 20
while headers is None and time.monotonic() < until:
    message = consumer.poll(1)
    if message is not None and message.error() is None:
        headers = message.headers()
consumer.close()
print("read:", headers, "reported:", reported)     # read: [("b'trace'", b'1')] reported: [None]
assert headers == [("b'trace'", b"1")] and reported == [None]
PYTHON
