"""How a cluster is, as `headrace doctor` asks: brokers with their properties and disks, replicas, rights, transactions.

What this principal may not see is noted and left out: a doctor goes on.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import (
    DescribeConfigsRequest,
    DescribeGroupsRequest,
    DescribeLogDirsRequest,
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
)
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from headrace.base.errors import LogError, LogUnavailableError
from headrace.base.ids import TopicPartition
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.coordinators import Coordinators
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import Address
from headrace.kafka.net.network import ApiMessage

__all__ = ["BrokerHealth", "ControlHealth", "OpenTransaction", "PartitionHealth", "TopicHealth"]

_BROKER, _TRANSACTION = 4, 1  # ConfigResource.Type.BROKER, CoordinatorType.TRANSACTION
#: Source: AclOperation.
_OPERATIONS = {
    3: "READ",
    4: "WRITE",
    5: "CREATE",
    6: "DELETE",
    7: "ALTER",
    8: "DESCRIBE",
    10: "DESCRIBE_CONFIGS",
}


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """A broker. `config` is empty where its properties may not be read; `disks` are (path, bytes, bytes free)."""

    id: int
    config: Mapping[str, str]
    disks: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionHealth:
    """A partition: its leader (-1 for none), how many replicas it has, and how many of them are in sync."""

    leader: int
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class TopicHealth:
    """A topic. `operations` are what this principal may do, None where the brokers do not tell."""

    name: str
    partitions: Mapping[int, PartitionHealth]
    operations: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that a partition takes for open.

    Attributes:
        start_offset: its first record there.
        last_timestamp: the latest timestamp in what its producer has last written there (epoch ms), which may be one
            that the producer has chosen.
        transactional_id: None where no coordinator has told of the producer.
        state: what the coordinator says, such as Ongoing or CompleteCommit; empty where none has told of the producer.
        has_partition: whether the coordinator counts the partition to it.
    """

    partition: TopicPartition
    producer_id: int
    producer_epoch: int
    start_offset: int
    last_timestamp: int
    transactional_id: str | None = None
    state: str = ""
    has_partition: bool = False

    @property
    def is_known(self) -> bool:
        """Whether a coordinator has told of it. Else it has forgotten it, may not tell, or does not answer."""
        return bool(self.state)

    @property
    def has_lost_its_end(self) -> bool:
        """Whether nobody is going to end it, for sure: its coordinator has ended it already, or misses the partition.

        What no coordinator tells of may be under way: brokers leave out the transactional ids that this principal may
        not describe, and say nothing of that.
        """
        if not self.is_known:
            return False
        under_way = self.state in {"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"}
        return not (under_way and self.has_partition)


class ControlHealth:
    """Blocking questions, from any thread. `unseen` gathers what could not be looked at, and why."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._coordinators = Coordinators(admin)
        self.unseen: list[str] = []

    # ── brokers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def brokers(self) -> list[BrokerHealth]:
        """Return the brokers that are alive.

        Raises:
            LogError: the cluster cannot be reached, as for all that follow.
        """
        attempts = self._admin.begin("look at the brokers")
        self._admin.metadata(attempts, [])
        return [
            BrokerHealth(each, self._properties(attempts, each), self._disks(attempts, each))
            for each in sorted(self._admin.brokers())
            if each >= 0  # those below are addresses that nobody has named yet
        ]

    def features(self) -> Mapping[str, int]:
        """Return the features that the brokers have settled on, by name."""
        self._admin.metadata(self._admin.begin("look at the brokers"), [])
        return self._admin.features()

    def _properties(self, attempts: Attempts, node_id: int) -> Mapping[str, str]:
        resource = DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=_BROKER, resource_name=str(node_id), configuration_keys=None
        )
        about = f"the properties of broker {node_id}"
        for answer in self._answers(attempts, DescribeConfigsRequest(resources=[resource]), node_id):
            (result,) = answer.results
            if self._is_settled(attempts, result.error_code, about):
                return {each.name: each.value for each in result.configs if each.value is not None}
        return {}

    def _disks(self, attempts: Attempts, node_id: int) -> tuple[tuple[str, int, int], ...]:
        request = DescribeLogDirsRequest(topics=[])
        if not self._admin.has(request):
            return ()
        for answer in self._answers(attempts, request, node_id):
            if not self._is_settled(
                attempts, getattr(answer, "error_code", 0) or 0, f"the disks of broker {node_id}"
            ):
                continue
            return tuple(
                (each.log_dir, each.total_bytes, each.usable_bytes)
                for each in answer.results
                if each.error_code == 0 and (getattr(each, "total_bytes", None) or -1) > 0
            )
        return ()

    # ── topics and groups ────────────────────────────────────────────────────────────────────────────────────────

    def topics(self, names: Collection[str]) -> Mapping[str, TopicHealth]:
        """Return those of these topics that exist, and may be described."""
        attempts = self._admin.begin("look at topics")
        version = min(10, self._admin.version(attempts, MetadataRequest, newest=10))
        request = MetadataRequest(
            version=version,
            topics=[MetadataRequest.MetadataRequestTopic(name=name) for name in sorted(names)],
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=True,
        )
        found = {}
        for answer in self._answers(attempts, request, None) if names else ():
            for topic in answer.topics:
                if topic.error_code not in (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
                    self.unseen.append(f"topic {topic.name!r}: {self._reason(topic.error_code)}")
                if topic.error_code == ErrorCode.NONE:
                    found[topic.name] = TopicHealth(
                        topic.name,
                        {
                            each.partition_index: PartitionHealth(
                                each.leader_id, len(each.replica_nodes), len(each.isr_nodes)
                            )
                            for each in topic.partitions
                        },
                        _named(topic.authorized_operations),
                    )
            break
        return found

    def group_operations(self, group: str) -> frozenset[str] | None:
        """Return what this principal may do with a group; None where the brokers do not tell."""
        attempts = self._admin.begin(f"look at group {group!r}")
        # Version 6 says nothing of a group that is not there.
        version = self._admin.version(attempts, DescribeGroupsRequest, newest=5)
        request = DescribeGroupsRequest(version=version, groups=[group], include_authorized_operations=True)
        noted = len(self.unseen)
        while len(self.unseen) == noted:
            node_id = self._allowed(lambda: self._coordinators.find(attempts, group))
            answer: Any = None if node_id is None else self._admin.ask(attempts, request, node_id=node_id)
            if answer is None:
                continue
            (told,) = answer.groups
            if told.error_code == ErrorCode.GROUP_ID_NOT_FOUND:
                return None  # it is a streams group, of which no request tells
            if self._is_settled(attempts, told.error_code, f"group {group!r}"):
                return _named(told.authorized_operations)
            self._coordinators.forget(group)
        return None

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    def open_transactions(self, partitions: Collection[TopicPartition]) -> list[OpenTransaction]:
        """Return the transactions that partitions take for open, with what their coordinators say of them.

        Those that end meanwhile are left out: partitions are asked once more after the coordinators.
        """
        attempts = self._admin.begin("look for open transactions")
        if not partitions or not self._admin.has(DescribeProducersRequest(topics=[])):
            return []
        found = self._open(attempts, partitions)
        if not found:
            return []
        told = self._told(attempts, {each.producer_id for each in found})
        still = {(each.partition, each.start_offset) for each in self._open(attempts, partitions)}
        return [
            each if each.producer_id not in told else _with_state(each, *told[each.producer_id])
            for each in found
            if (each.partition, each.start_offset) in still
        ]

    def _open(self, attempts: Attempts, partitions: Collection[TopicPartition]) -> list[OpenTransaction]:
        leaders: dict[int, list[TopicPartition]] = defaultdict(list)
        topics = self._admin.metadata(attempts, sorted({each.topic for each in partitions}))
        for each in sorted(partitions):
            known = topics.get(each.topic)
            if known is not None and each.partition in known.partitions:
                leaders[known.partitions[each.partition].leader].append(each)
        found: list[OpenTransaction] = []
        for leader, places in leaders.items():
            if leader < 0:
                self.unseen.append(f"{_listed(places)}: no broker leads it")
                continue
            for answer in self._answers(attempts, _describe_producers(places), leader):
                found += self._read_producers(answer)
                break
        return found

    def _read_producers(self, answer: Any) -> Iterator[OpenTransaction]:
        for topic in answer.topics:
            for told in topic.partitions:
                place = TopicPartition(topic.name, told.partition_index)
                if told.error_code:
                    reason = self._reason(told.error_code)
                    self.unseen.append(f"open transactions of {place.in_words()}: {reason}")
                for each in told.active_producers:
                    if each.current_txn_start_offset >= 0:
                        yield OpenTransaction(
                            place,
                            each.producer_id,
                            each.producer_epoch,
                            each.current_txn_start_offset,
                            each.last_timestamp,
                        )

    def _told(
        self, attempts: Attempts, producers: Collection[int]
    ) -> Mapping[int, tuple[str, str, frozenset[TopicPartition]]]:
        """Return transactional id, state and partitions of producers, as far as coordinators know them."""
        ids: dict[str, int] = {}
        for node_id in self._admin.brokers():
            request = ListTransactionsRequest(
                state_filters=[],
                producer_id_filters=sorted(producers),
                duration_filter=-1,
                transactional_id_pattern=None,
            )
            for answer in self._answers(attempts, request, node_id) if node_id >= 0 else ():
                if self._is_settled(
                    attempts, answer.error_code, f"transactions that broker {node_id} coordinates"
                ):
                    ids |= {each.transactional_id: each.producer_id for each in answer.transaction_states}
                    break
        return {
            producer: (name, *described)
            for name, producer in ids.items()
            if (described := self._transaction(attempts, name)) is not None
        }

    def _transaction(self, attempts: Attempts, name: str) -> tuple[str, frozenset[TopicPartition]] | None:
        about = f"transaction of {name!r}"
        request = DescribeTransactionsRequest(transactional_ids=[name])
        noted = len(self.unseen)
        while len(self.unseen) == noted:
            # Asked each time: it may have moved.
            node_id = self._allowed(lambda: self._coordinator(attempts, name))
            answer: Any = None if node_id is None else self._admin.ask(attempts, request, node_id=node_id)
            if answer is None:
                continue
            (told,) = answer.transaction_states
            if self._is_settled(attempts, told.error_code, about):
                topics = [(topic.topic, topic.partitions) for topic in told.topics]
                places = (TopicPartition(topic, number) for topic, numbers in topics for number in numbers)
                return told.transaction_state, frozenset(places)
        return None

    def _coordinator(self, attempts: Attempts, name: str) -> int:
        while True:
            version = self._admin.version(attempts, FindCoordinatorRequest, newest=3)
            request = FindCoordinatorRequest(version=version, key=name, key_type=_TRANSACTION)
            answer = self._admin.ask(attempts, request)
            if answer is None:
                continue
            told: Any = answer
            todo = attempts.judge(ControlRequest.FIND_COORDINATOR, told.error_code, told.error_message)
            if todo is ControlRemedy.TAKE:
                self._admin.learn_broker(told.node_id, Address(told.host, told.port))
                return int(told.node_id)
            attempts.again(attempts.reason(ControlRequest.FIND_COORDINATOR, told.error_code))

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _answers(self, attempts: Attempts, request: ApiMessage, node_id: int | None) -> Iterator[Any]:
        """Yield answers, for as long as the caller wants another one, or until it has noted why there is none."""
        noted = len(self.unseen)
        while len(self.unseen) == noted:
            answer = self._admin.ask(attempts, request, node_id=node_id)
            if answer is not None:
                yield answer

    def _allowed(self, find: Callable[[], int]) -> int | None:
        """Return what is found; None where this principal may not, which is noted."""
        try:
            return find()
        except LogUnavailableError:
            raise
        except LogError as error:
            self.unseen.append(str(error))
            return None

    def _is_settled(self, attempts: Attempts, code: int, about: str) -> bool:
        """Whether an answer holds. Waits where it is worth another try; else notes why not."""
        todo = attempts.judge(ControlRequest.LOOK, code, about=about)
        if todo is ControlRemedy.TAKE:
            return True
        if todo in (ControlRemedy.RETRY, ControlRemedy.REFRESH):
            attempts.again(attempts.reason(ControlRequest.LOOK, code, about))
        else:
            self.unseen.append(f"{about}: {self._reason(code)}")
        return False

    def _reason(self, code: int) -> str:
        return self._admin.begin("look").reason(ControlRequest.LOOK, code)


def _with_state(
    found: OpenTransaction, name: str, state: str, partitions: frozenset[TopicPartition]
) -> OpenTransaction:
    return OpenTransaction(
        found.partition,
        found.producer_id,
        found.producer_epoch,
        found.start_offset,
        found.last_timestamp,
        name,
        state,
        found.partition in partitions,
    )


def _named(operations: Collection[int] | None) -> frozenset[str] | None:
    return (
        None
        if operations is None
        else frozenset(_OPERATIONS[each] for each in operations if each in _OPERATIONS)
    )


def _listed(places: Sequence[TopicPartition]) -> str:
    return ", ".join(map(str, places))


def _describe_producers(places: Sequence[TopicPartition]) -> Any:
    topics: dict[str, list[int]] = defaultdict(list)
    for each in places:
        topics[each.topic].append(each.partition)
    topic = DescribeProducersRequest.TopicRequest
    return DescribeProducersRequest(
        topics=[topic(name=name, partition_indexes=numbers) for name, numbers in topics.items()]
    )
