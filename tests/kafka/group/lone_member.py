"""A program that is one member of a group and prints what it hears: to be stopped, continued, and killed from outside.

Arguments: bootstrap servers, group, topic, number of tasks, protocol, session timeout (ms).
"""

import sys

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.membership import Assigned, Lost
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions


def main(servers: str, group: str, topic: str, tasks: int, protocol: str, session_ms: str) -> None:
    properties = {
        "bootstrap.servers": servers,
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": 200,
    }
    log = KafkaLog(ConnectionSettings.of(properties), KafkaOptions.of(properties))
    part = SubtopologyTopics(id=0, source_topics=frozenset({topic}))
    every = tuple(TaskId(0, partition) for partition in range(tasks))
    application = GroupApplication((part,), every, {topic: tasks})
    options = JoinOptions(process_id="zombie", protocol="streams" if protocol == "streams" else "classic")
    member = log.join(group, application, options)
    while True:
        for effect in member.effects(60.0):
            if isinstance(effect, Assigned):
                print("assigned", len(effect.roles.active), flush=True)
                member.acknowledge(effect.number)
            elif isinstance(effect, Lost):
                print("lost", flush=True)
                member.dropped()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5], sys.argv[6])
