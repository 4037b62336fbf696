#!/usr/bin/env bash
# Kafka 4.4.0, streams groups (KIP-1071): the coordinator tells a member its tasks when it joins, and in the one answer to
# the heartbeat that changed them. If that answer is lost, as when a connection breaks, the following ones say nothing of
# tasks (null: unchanged), also where the member reports that it owns none, at the old epoch and at the new one. Nobody
# runs the tasks then, until the next rebalance; StreamsGroupDescribe names them, and so does joining again under the same
# member id. A consumer group (KIP-848) repeats the assignment for a request with all fields.
# Guessed: a heartbeat that reports less than what is assigned is answered with what is assigned.
set -euo pipefail
folder=$(mktemp -d)
broker=
trap 'test -z "$broker" || { kill "$broker"; wait "$broker" || true; }; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kafka-python==3.0.12
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
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
PROPERTIES
java=(java -Xmx512m -cp "$folder/jars/*")
"${java[@]}" kafka.tools.StorageTool format -t finding-0123456789abcd -c "$folder/server.properties" \
  > "$folder/format.log" 2>&1 || { cat "$folder/format.log"; exit 1; }
"${java[@]}" kafka.Kafka "$folder/server.properties" > "$folder/broker.log" 2>&1 &
broker=$!
# The messages of streams groups are made from Kafka's own schemas, which kafka-python does not have.
mkdir "$folder/schemas"
touch "$folder/schemas/__init__.py"
(cd "$folder/schemas" && python3 -c "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as jar:
    for name in jar.namelist():
        if name.startswith('common/message/StreamsGroup') and name.endswith('.json'):
            open(name.rpartition('/')[2], 'wb').write(jar.read(name))
" "$folder"/jars/kafka-clients-4.4.0.jar)
PYTHONPATH="$folder" timeout 120 "$folder/venv/bin/python" - "$client" <<'PYTHON'
import io
import socket
import struct
import sys
import time

import schemas
from kafka.protocol.admin import CreateTopicsRequest
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.metadata import FindCoordinatorRequest


class StreamsGroupHeartbeatRequest(ApiMessage, load_json=schemas): pass
class StreamsGroupHeartbeatResponse(ApiMessage, load_json=schemas): pass
class StreamsGroupDescribeRequest(ApiMessage, load_json=schemas): pass
class StreamsGroupDescribeResponse(ApiMessage, load_json=schemas): pass


for _ in range(240):
    try:
        connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
        break
    except OSError:
        time.sleep(0.25)


def exactly(count):
    data = b""
    while len(data) < count:
        data += connection.recv(count - len(data)) or sys.exit("the broker has closed the connection")
    return data


def call(request, version):
    request.API_VERSION = version
    request.with_header(correlation_id=1, client_id="finding")
    connection.sendall(request.encode(framed=True, header=True))
    stream = io.BytesIO(exactly(*struct.unpack(">i", exactly(4))))
    kind = request.header.get_response_class()
    kind.parse_header(stream)
    return kind.decode(stream.read())


Topology = StreamsGroupHeartbeatRequest.Topology
topology = Topology(epoch=0, subtopologies=[Topology.Subtopology(
    subtopology_id="0", source_topics=["in"], source_topic_regex=[], state_changelog_topics=[],
    repartition_sink_topics=[], repartition_source_topics=[], copartition_groups=[])])


def numbers(tasks):
    return None if tasks is None else sorted(number for task in tasks for number in task.partitions)


def beat(member, epoch, owned=None, joins=False):
    given = None if owned is None else [StreamsGroupHeartbeatRequest.TaskIds(subtopology_id="0", partitions=owned)]
    rest = None if owned is None else []
    for _ in range(100):
        answer = call(StreamsGroupHeartbeatRequest(
            group_id="g", member_id=member, member_epoch=epoch, endpoint_information_epoch=-1, instance_id=None,
            rack_id=None, rebalance_timeout_ms=60000 if joins else -1, topology=topology if joins else None,
            active_tasks=[] if joins else given if owned or owned is None else [], standby_tasks=[] if joins else rest,
            warmup_tasks=[] if joins else rest, process_id=member if joins else None, user_endpoint=None,
            client_tags=[] if joins else None, task_offsets=None, task_end_offsets=None, shutdown_application=False,
        ), 1)
        if answer.error_code not in (14, 15, 16):
            break
        call(FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]), 4)
        time.sleep(0.25)
    assert answer.error_code == 0, (answer.error_code, answer.error_message)
    return answer.member_epoch, numbers(answer.active_tasks)


def until_told(member, epoch):
    for _ in range(100):
        epoch, tasks = beat(member, epoch)
        if tasks:
            return epoch, tasks
        time.sleep(0.25)
    sys.exit("nothing was assigned")


call(CreateTopicsRequest(topics=[CreateTopicsRequest.CreatableTopic(
    name="in", num_partitions=4, replication_factor=1, assignments=[], configs=[])], timeout_ms=30000), 5)
first, _ = beat("one", 0, joins=True)
first, all_of_them = until_told("one", first)
first, _ = beat("one", first, owned=all_of_them)
second, _ = beat("two", 0, joins=True)
first, kept = until_told("one", first)
first, _ = beat("one", first, owned=kept)

answer_that_gets_lost = beat("two", second)
print("the answer that gets lost:", answer_that_gets_lost)
later = [beat("two", second, owned=[])]
later += [beat("two", later[0][0], owned=[]), beat("two", later[0][0])]
print("the next answers:", later)
group = call(StreamsGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False), 0).groups[0]
described = {each.member_id: numbers(each.assignment.active_tasks) for each in group.members}
print("described:", described)
again = beat("two", 0, joins=True)
print("joined again:", again)
epoch, lost = answer_that_gets_lost
assert all_of_them == [0, 1, 2, 3] and lost and lost == described["two"] == again[1]
assert later == [(epoch, None)] * 3
PYTHON
