"""Groups of a cluster: which there are, their committed offsets and properties, and deleting them."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kafka.protocol.admin import DeleteGroupsRequest, DescribeConfigsRequest, ListGroupsRequest
from kafka.protocol.consumer import OffsetFetchRequest

from headrace.base.ids import TopicPartition
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.coordinators import Coordinators
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.net.network import ApiMessage
from headrace.kafka.transaction.messages import NO_MEMBER, OffsetCommit
from headrace.kafka.transaction.wire import read_answer, transaction_request
from headrace.log.admission import unknown_topic
from headrace.log.groups import CommittedOffset, ListedGroup

__all__ = ["ControlGroups"]

_log = logging.getLogger(__name__)

# Version 10 names topics by id.
_OFFSET_FETCH_NEWEST = 9
_GROUPS_SINCE = 8
_STATES_SINCE = 4
_TYPES_SINCE = 5

_GROUP = 32  # ConfigResource.Type.GROUP
_SET_ON_GROUP = 8  # ConfigSource.DYNAMIC_GROUP_CONFIG


_NO_TOPIC = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})


class ControlGroups:
    """Blocking operations on groups, from any thread."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._coordinators = Coordinators(admin)

    def committed(
        self, group: str, partitions: Collection[TopicPartition] | None, *, waits: bool = True
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """Return the group's offsets in these partitions, or in all, those of decided transactions only.

        Those that are being decided are waited for, unless told otherwise; then the ones before them are returned.

        Raises:
            LogError: the group or a topic may not be described, or nobody answers until the time is over.
        """
        wanted = None if partitions is None else sorted(set(partitions))
        if wanted is not None and not wanted:
            return {}
        attempts = self._admin.begin(f"read the committed offsets of group {group!r}")
        while True:
            version = self._admin.version(attempts, OffsetFetchRequest, newest=_OFFSET_FETCH_NEWEST)
            answer = self.ask(attempts, group, _offset_fetch(group, wanted, version, is_stable=waits))
            if answer is None:
                continue
            found = self._offsets(attempts, group, answer.groups[0] if version >= _GROUPS_SINCE else answer)
            if found is not None:
                return found

    def _offsets(
        self, attempts: Attempts, group: str, answer: Any
    ) -> Mapping[TopicPartition, CommittedOffset] | None:
        """Read an answer; None after one in vain and the wait for the next."""
        found: dict[TopicPartition, CommittedOffset] = {}
        todo = self.judge(attempts, group, ControlRequest.OFFSET_FETCH, answer.error_code)
        if todo is not ControlRemedy.TAKE:
            return found if todo is ControlRemedy.ABSENT else None
        for topic in answer.topics:
            for partition in topic.partitions:
                topic_partition = TopicPartition(topic.name, partition.partition_index)
                about = f"partition {topic_partition}"
                todo = self.judge(
                    attempts, group, ControlRequest.OFFSET_FETCH, partition.error_code, about=about
                )
                if todo is None:
                    return None
                if todo is ControlRemedy.TAKE and partition.committed_offset >= 0:
                    found[topic_partition] = CommittedOffset(
                        partition.committed_offset, partition.metadata or ""
                    )
        return dict(sorted(found.items()))

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit offsets as nobody, for a group that has no members.

        Raises:
            UnknownTopicError: there is no such topic or partition; offsets of others may be committed.
            LogError: members are in it, it may not be done, or nobody answers until the time is over; as above.
        """
        left = dict(offsets)
        attempts = self._admin.begin(f"commit offsets of group {group!r}")
        while left:
            request = OffsetCommit(-1, group, NO_MEMBER, left)
            answer = self.ask(attempts, group, transaction_request(request, is_newest_protocol=True))
            if answer is None:
                continue
            for place, code in read_answer(request, answer).errors.items():
                if code in _NO_TOPIC:
                    raise unknown_topic("commit an offset of", place.topic, place.partition)
                about = f"partition {place}"
                if self.judge(attempts, group, ControlRequest.OFFSET_COMMIT, code, about=about) is None:
                    break
                left.pop(place, None)

    def list(self) -> Sequence[ListedGroup]:
        """Return all groups that this principal may see, by name.

        Raises:
            LogError: a broker does not answer until the time is over.
        """
        attempts = self._admin.begin("list the groups")
        self._admin.metadata(attempts, ())
        found: dict[str, ListedGroup] = {}
        # Each broker has those that it coordinates.
        for node_id in self._admin.brokers():
            while node_id in self._admin.brokers():
                version = self._admin.version(attempts, ListGroupsRequest, newest=_TYPES_SINCE)
                request = ListGroupsRequest(version=version, states_filter=[], types_filter=[])
                answer = self._admin.ask(attempts, request, node_id=node_id)
                if answer is None:
                    continue
                todo = attempts.judge(ControlRequest.LIST_GROUPS, answer.error_code)
                if todo is ControlRemedy.TAKE:
                    found.update((each.group_id, _listed(each, version)) for each in answer.groups)
                    break
                attempts.again(attempts.reason(ControlRequest.LIST_GROUPS, answer.error_code))
        return [found[name] for name in sorted(found)]

    def delete(self, group: str) -> None:
        """Delete a group; one that is not there is deleted already.

        Raises:
            LogError: members are in it, or it may not be deleted.
        """
        attempts = self._admin.begin(f"delete group {group!r}")
        while True:
            answer = self.ask(attempts, group, DeleteGroupsRequest(groups_names=[group]))
            if answer is None:
                continue
            (result,) = answer.results
            said = getattr(result, "error_message", None)
            if self.judge(attempts, group, ControlRequest.DELETE_GROUPS, result.error_code, said) is not None:
                return

    def config(self, group: str) -> Mapping[str, str]:
        """Return what was set on a group; nothing, with a warning, where that may not be read.

        Raises:
            LogError: nobody answers until the time is over.
        """
        attempts = self._admin.begin(f"read the properties of group {group!r}")
        kind = ControlRequest.DESCRIBE_GROUP_CONFIGS
        resource = DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=_GROUP, resource_name=group, configuration_keys=None
        )
        while True:
            answer = self._admin.ask(attempts, DescribeConfigsRequest(resources=[resource]))
            if answer is None:
                continue
            (result,) = answer.results
            todo = self.judge(attempts, group, kind, result.error_code, result.error_message)
            if todo is None:
                continue
            if todo is ControlRemedy.WARN:
                _log.warning("cannot %s: %s", attempts.attempt, attempts.reason(kind, result.error_code))
            if todo is not ControlRemedy.TAKE:
                return {}
            return {
                entry.name: entry.value
                for entry in sorted(result.configs, key=lambda entry: str(entry.name))
                if entry.config_source == _SET_ON_GROUP and entry.value is not None
            }

    def ask(self, attempts: Attempts, group: str, request: ApiMessage) -> ApiMessage | None:
        """Send a request to a group's coordinator; None after a try in vain and the wait for the next.

        Raises:
            LogError: as for `Admin.ask`, or the group may not be described.
        """
        node_id = self._coordinators.find(attempts, group)
        # Sent again, it needs a header of its own, but no other content.
        answer = self._admin.ask(attempts, request, node_id=node_id)
        if answer is None:
            self._coordinators.forget(group)
        return answer

    def judge(
        self,
        attempts: Attempts,
        group: str,
        request: ControlRequest,
        code: int,
        said: str | None = None,
        *,
        about: str = "",
    ) -> ControlRemedy | None:
        """Return what to do about a code; None after it was in vain and the wait for the next try.

        Raises:
            LogError: there is nothing to do about it.
        """
        todo = attempts.judge(request, code, said, about=about)
        if todo not in {ControlRemedy.RETRY, ControlRemedy.REFRESH}:
            return todo
        if todo is ControlRemedy.REFRESH:
            self._coordinators.forget(group)
        attempts.again(attempts.reason(request, code))
        return None


def _listed(told: Any, version: int) -> ListedGroup:
    # Brokers that name no types have groups of this one alone.
    kind = (told.group_type or "").lower() if version >= _TYPES_SINCE else ""
    state = told.group_state if version >= _STATES_SINCE else ""
    return ListedGroup(told.group_id, kind or "classic", state, told.protocol_type or "")


def _offset_fetch(
    group: str, topic_partitions: Collection[TopicPartition] | None, version: int, *, is_stable: bool
) -> Any:
    topics: dict[str, list[int]] | None = None
    if topic_partitions is not None:
        topics = defaultdict(list)
        for topic_partition in topic_partitions:
            topics[topic_partition.topic].append(topic_partition.partition)
    if version < _GROUPS_SINCE:
        request = OffsetFetchRequest
        asked = _named(topics, request.OffsetFetchRequestTopic)
        return request(version=version, group_id=group, topics=asked, require_stable=is_stable)
    one = OffsetFetchRequest.OffsetFetchRequestGroup
    asked = one(
        group_id=group,
        member_id=None,
        member_epoch=-1,
        topics=_named(topics, one.OffsetFetchRequestTopics),
    )
    return OffsetFetchRequest(version=version, groups=[asked], require_stable=is_stable)


def _named(topics: Mapping[str, Sequence[int]] | None, made: Any) -> Any:
    # None asks for all.
    if topics is None:
        return None
    return [made(name=name, partition_indexes=numbers) for name, numbers in topics.items()]
