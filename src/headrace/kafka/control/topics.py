"""Topics of a cluster: which there are, making them and deleting them."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kafka.protocol.admin import CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest

from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import TopicMetadata
from headrace.log.admission import check_existing, check_spec
from headrace.log.limits import RecordLimits
from headrace.log.port import TopicInfo, TopicSpec

__all__ = ["ControlTopics"]

_log = logging.getLogger(__name__)

_TOPIC = 2  # ConfigResource.Type.TOPIC
_SET_ON_TOPIC = 1  # ConfigSource.DYNAMIC_TOPIC_CONFIG
# The engine and the writer read these, wherever their values come from.
_ALWAYS = frozenset(
    {
        "cleanup.policy",
        "delete.retention.ms",
        "max.message.bytes",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.difference.max.ms",
        "message.timestamp.type",
        "retention.ms",
    }
)

# An answer has about forty properties a topic: this keeps it at a few MB.
_DESCRIBED_AT_ONCE = 200


class ControlTopics:
    """Blocking operations on topics, from any thread."""

    def __init__(
        self, admin: Admin, *, replication_factor: int, request_bytes_max: int, is_compressing: bool
    ) -> None:
        """`request_bytes_max` (max.request.size) and whether records are compressed tell which are too large."""
        self._admin = admin
        self._request_bytes_max = request_bytes_max
        self._is_compressing = is_compressing
        self._replication_factor = replication_factor
        self._has_warned = False

    def describe(self, names: Collection[str] | None) -> Mapping[str, TopicInfo]:
        """Return those of these topics that exist; with None all that this principal may see, without Kafka's own.

        `config` has the properties set on the topic, and the effective values of those that decide about its records;
        it is empty where the principal may not read them, which is warned of once.
        """
        if names is not None and not names:
            return {}
        attempts, found = self._find(names)
        configs = self._configs(attempts, sorted(found))
        return {
            name: TopicInfo(name, len(topic.partitions), topic.id, config, self._limits(name, config))
            for name, topic in found.items()
            for config in (configs.get(name, {}),)
        }

    def partition_counts(self, names: Collection[str] | None) -> Mapping[str, int]:
        """Return how many partitions each of them has; which ones as in `describe`."""
        if names is not None and not names:
            return {}
        return {name: len(topic.partitions) for name, topic in self._find(names)[1].items()}

    def _find(self, names: Collection[str] | None) -> tuple[Attempts, Mapping[str, TopicMetadata]]:
        attempts = self._admin.begin("list the topics" if names is None else f"look up {_named(names)}")
        found = self._admin.metadata(attempts, names)
        if names is None:
            found = {name: topic for name, topic in found.items() if not topic.is_internal}
        return attempts, found

    def _limits(self, topic: str, config: Mapping[str, str]) -> RecordLimits:
        limits = RecordLimits.parse(topic, config)
        bytes_max = self._request_bytes_max
        # As Kafka's producer has it: its own limit is for records as they are, the topic's for what is sent of them.
        if not self._is_compressing and limits.bytes_max is not None:
            bytes_max = min(bytes_max, limits.bytes_max)
        return replace(limits, bytes_max=bytes_max)

    def _configs(self, attempts: Attempts, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        configs: dict[str, Mapping[str, str]] = {}
        for start in range(0, len(names), _DESCRIBED_AT_ONCE):
            wanted = list(names[start : start + _DESCRIBED_AT_ONCE])
            while wanted:
                wanted = self._describe_configs(attempts, wanted, configs)
        return configs

    def _describe_configs(
        self, attempts: Attempts, names: Sequence[str], configs: dict[str, Mapping[str, str]]
    ) -> list[str]:
        """Fill `configs`; return the names to ask for again."""
        resource = DescribeConfigsRequest.DescribeConfigsResource
        resources = [
            resource(resource_type=_TOPIC, resource_name=name, configuration_keys=None) for name in names
        ]
        answer = self._admin.ask(attempts, DescribeConfigsRequest(resources=resources))
        if answer is None:
            return list(names)
        again: list[str] = []
        reason = ""
        for result in answer.results:
            name, about = result.resource_name, f"the properties of topic {result.resource_name!r}"
            todo = attempts.judge(
                ControlRequest.DESCRIBE_CONFIGS, result.error_code, result.error_message, about=about
            )
            if todo is ControlRemedy.TAKE:
                configs[name] = _config(result.configs)
            elif todo is ControlRemedy.WARN:
                self._warn(attempts.reason(ControlRequest.DESCRIBE_CONFIGS, result.error_code, about))
            elif todo is ControlRemedy.RETRY:
                again.append(name)
                reason = attempts.reason(ControlRequest.DESCRIBE_CONFIGS, result.error_code, about)
        if again:
            attempts.again(reason)
        return again

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("cannot read %s; going on with Kafka's defaults", reason)

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create those that do not exist, and wait until every partition has a leader that all brokers know.

        Raises:
            LogError: one exists with another partition count, or may not or cannot be created.
        """
        if not specs:
            return
        for spec in specs:
            check_spec(spec)
        attempts = self._admin.begin(f"create {_named([spec.name for spec in specs])}")
        wanted = {spec.name: spec for spec in specs}
        left = dict(wanted)
        while left:
            left = self._create(attempts, left)
        self._wait_everywhere(attempts, wanted, lambda found: _unled(wanted, found))
        found = self._admin.metadata(attempts, list(wanted))
        for name, spec in wanted.items():
            if name in found:
                check_existing(spec, len(found[name].partitions))

    def _create(self, attempts: Attempts, specs: Mapping[str, TopicSpec]) -> dict[str, TopicSpec]:
        topics = [_creatable(spec, self._replication_factor) for spec in specs.values()]
        request = CreateTopicsRequest(topics=topics, timeout_ms=_broker_ms(attempts), validate_only=False)
        answer = self._admin.ask(attempts, request)
        if answer is None:
            return dict(specs)
        again: dict[str, TopicSpec] = {}
        reason = ""
        for topic in answer.topics:
            about = f"topic {topic.name!r}" if len(specs) > 1 else ""
            todo = attempts.judge(
                ControlRequest.CREATE_TOPICS, topic.error_code, topic.error_message, about=about
            )
            if todo is ControlRemedy.RETRY:
                again[topic.name] = specs[topic.name]
                reason = attempts.reason(ControlRequest.CREATE_TOPICS, topic.error_code, about)
        if again:
            attempts.again(reason)
        return again

    def delete(self, names: Collection[str]) -> None:
        """Delete topics, and wait until no broker knows them any more; unknown names are ignored."""
        left = sorted(set(names))
        if not left:
            return
        attempts = self._admin.begin(f"delete {_named(left)}")
        gone = list(left)
        while left:
            left = self._delete(attempts, left)
        self._wait_everywhere(
            attempts, gone, lambda found: f"topic {min(found)!r} is still there" if found else ""
        )

    def _delete(self, attempts: Attempts, names: Sequence[str]) -> list[str]:
        # Version 6 can name topics by id too; by name is all that is wanted here.
        version = self._admin.version(attempts, DeleteTopicsRequest, newest=5)
        request = DeleteTopicsRequest(
            version=version, topic_names=list(names), timeout_ms=_broker_ms(attempts)
        )
        answer = self._admin.ask(attempts, request)
        if answer is None:
            return list(names)
        again: list[str] = []
        reason = ""
        for topic in answer.responses:
            about = f"topic {topic.name!r}" if len(names) > 1 else ""
            todo = attempts.judge(
                ControlRequest.DELETE_TOPICS, topic.error_code, topic.error_message, about=about
            )
            if todo is ControlRemedy.RETRY:
                again.append(topic.name)
                reason = attempts.reason(ControlRequest.DELETE_TOPICS, topic.error_code, about)
        if again:
            attempts.again(reason)
        return again

    def _wait_everywhere(
        self,
        attempts: Attempts,
        names: Collection[str],
        missing: Callable[[Mapping[str, TopicMetadata]], str],
    ) -> None:
        """Wait until no broker that is alive has anything `missing`.

        The controller answers before all brokers have heard; whoever asks another one next would not see the change.
        """
        self._admin.metadata(attempts, ())
        for node_id in self._admin.brokers():
            while node_id in self._admin.brokers():
                reason = missing(self._admin.metadata(attempts, names, node_id=node_id))
                if not reason:
                    break
                attempts.again(reason)


def _named(names: Collection[str]) -> str:
    listed = sorted(names)
    said = ", ".join(map(repr, listed[:5])) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
    return f"{'topic' if len(listed) == 1 else 'topics'} {said}"


def _broker_ms(attempts: Attempts) -> int:
    # How long the broker itself waits for the controller; less than the request may take, so that it answers.
    return max(1, min(10_000, attempts.left_ms // 2))


def _creatable(spec: TopicSpec, replication_factor: int) -> Any:
    topic = CreateTopicsRequest.CreatableTopic
    configs = [topic.CreatableTopicConfig(name=name, value=value) for name, value in spec.config.items()]
    return topic(
        name=spec.name,
        num_partitions=spec.partitions,
        replication_factor=replication_factor,
        assignments=[],
        configs=configs,
    )


def _unled(wanted: Collection[str], found: Mapping[str, TopicMetadata]) -> str:
    for name in sorted(wanted):
        topic = found.get(name)
        if topic is None:
            return f"a broker does not know topic {name!r} yet"
        for number, partition in sorted(topic.partitions.items()):
            if partition.leader < 0:
                return f"partition {number} of topic {name!r} has no leader yet ({ErrorCode(partition.error).name})"
    return ""


def _config(entries: Any) -> Mapping[str, str]:
    return {
        entry.name: entry.value
        for entry in entries
        if entry.value is not None and (entry.config_source == _SET_ON_TOPIC or entry.name in _ALWAYS)
    }
