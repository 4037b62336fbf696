#!/usr/bin/env bash
# Kafka 4.4.0: `min.compaction.lag.ms` is counted from the times of the records, which a producer sets, and not from when
# they were written. Records with times of long ago, as a backfill or a replay of history writes them, are compacted as
# soon as their segment is closed, whatever the lag says. Kafka Streams gives the changelogs of versioned stores such a
# lag (their history and a day), so that no version is lost that may still be asked for: it does not protect them there.
# Of two versions of a key that came in the wrong order of their times, the later in the topic stays, which is the older.
# Guessed: nothing is compacted in the first day after it was written.
set -euo pipefail
folder=$(mktemp -d)
broker=
trap 'test -z "$broker" || { kill "$broker"; wait "$broker" || true; }; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.12.1
cat > "$folder/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>4.4.0</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$folder/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$folder/jars"
read -r client controller < <(python3 -c "
import socket
held = [socket.create_server(('127.0.0.1', 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))")
cat > "$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=0
controller.quorum.voters=0@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
log.dirs=$folder/data
log.cleaner.backoff.ms=500
offsets.topic.replication.factor=1
PROPERTIES
java=(java -Xmx512m -cp "$folder/jars/*")
"${java[@]}" kafka.tools.StorageTool format -t finding-0123456789abcd -c "$folder/server.properties" \
  > "$folder/format.log" 2>&1 || { cat "$folder/format.log"; exit 1; }
"${java[@]}" kafka.Kafka "$folder/server.properties" > "$folder/broker.log" 2>&1 &
broker=$!
timeout 120 "$folder/venv/bin/python" - "127.0.0.1:$client" <<'PYTHON'
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

DAY_MS = 86_400_000
SEGMENT_MS = 60_000
servers = {"bootstrap.servers": sys.argv[1]}
admin = AdminClient(servers)
while True:
    try:
        admin.list_topics(timeout=5)
        break
    except Exception:
        time.sleep(0.5)
config = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(DAY_MS),
    "min.cleanable.dirty.ratio": "0",
    "segment.ms": str(SEGMENT_MS),
}
now = time.time_ns() // 1_000_000
first_times = {"written-today": now - 10 * SEGMENT_MS, "of-long-ago": 1_000_000_000_000}
for future in admin.create_topics([NewTopic(name, 1, 1, config=config) for name in first_times]).values():
    future.result()
producer = Producer(servers)
for topic, first in first_times.items():
    # The second version of "a" came later and is older; the others close its segment, by times that are further on.
    for number, (key, value, after) in enumerate(
        [("a", "latest", 1_000), ("a", "older", 500), ("b", "x", 2 * SEGMENT_MS), ("c", "x", 4 * SEGMENT_MS)]
    ):
        producer.produce(topic, value, key, timestamp=first + after)
        producer.flush()


def values(topic):
    consumer = Consumer({**servers, "group.id": "g", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        if message.key() == b"a":
            found.append(message.value().decode())
    consumer.close()
    return found


deadline = time.monotonic() + 60
while values("of-long-ago") != ["older"]:
    assert time.monotonic() < deadline, f"nothing is compacted: {values('of-long-ago')}"
    time.sleep(1)
time.sleep(5)
assert values("written-today") == ["latest", "older"], values("written-today")
print("of-long-ago:", values("of-long-ago"), "written-today:", values("written-today"))
PYTHON
