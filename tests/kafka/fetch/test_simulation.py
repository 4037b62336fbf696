"""The fetch machine against a model of a cluster: every committed record once, in order, whatever happens between."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.ids import TopicPartition
from headrace.kafka.fetch.machine import FetchMachine
from headrace.kafka.fetch.messages import AskBounds, AskMetadata, Fetch, FetchLimits, Request
from tests.budget import examples
from tests.kafka.fetch.cluster import NODES, ModelCluster, decode

pytestmark = pytest.mark.campaign

LIMITS = FetchLimits(bytes_max=300, partition_bytes_max=100, rack="near", metadata_max_age_ms=200)

Step = tuple[str, int, int]

STEPS = st.tuples(
    st.sampled_from(
        [
            "append", "append", "append", "begin", "commit", "abort", "replicate", "move leader",
            "assign", "unassign", "pause", "pause", "pause", "resume", "take",
            "reach", "reach", "answer", "answer", "answer", "lose", "wait",
        ]
    ),
    st.integers(0, 11),
    st.integers(1, 160),
)  # fmt: skip


class Simulation:
    """The machine, the model, and the requests between them: (request, whether it has reached the broker, answer)."""

    def __init__(self, partitions: int, has_rack: bool) -> None:
        self.cluster = ModelCluster(partitions, has_rack)
        self.machine = FetchMachine(LIMITS)
        self.now = 0.0
        self.under_way: list[tuple[Request, object]] = []
        self.assigned: dict[TopicPartition, int] = {}
        self.returned: dict[TopicPartition, list[int]] = {}
        self.paused: set[TopicPartition] = set()

    def topic_partition(self, number: int) -> TopicPartition:
        topic_partitions = list(self.cluster.partitions)
        return topic_partitions[number % len(topic_partitions)]

    def assign(self, topic_partition: TopicPartition, position: int) -> None:
        self.machine.assign({topic_partition: position}, self.now)
        self.assigned[topic_partition], self.returned[topic_partition] = position, []

    def send(self) -> None:
        for request in self.machine.requests(self.now):
            if isinstance(request, Fetch):
                on_node = [each for each, _ in self.under_way if isinstance(each, Fetch)]
                assert request.node_id not in {each.node_id for each in on_node}
                reserved = sum(each.bytes_max for each in on_node)
                assert not on_node or reserved + request.bytes_max <= LIMITS.bytes_max
            self.under_way.append((request, None))

    def reach(self, index: int) -> None:
        request, answer = self.under_way[index]
        if answer is None:
            match request:
                case Fetch():
                    answer = self.cluster.fetch(request)
                case AskBounds():
                    answer = self.cluster.bounds(request)
                case AskMetadata():
                    answer = self.cluster.metadata(request)
            self.under_way[index] = (request, answer)

    def answer(self, index: int) -> None:
        self.reach(index)
        request, answer = self.under_way.pop(index)
        match request:
            case Fetch():
                self.machine.fetched(request, answer, self.now)  # type: ignore[arg-type]  # of this request
            case AskBounds():
                self.machine.bounds_found(request, answer, self.now)  # type: ignore[arg-type]  # of this request
            case AskMetadata():
                self.machine.metadata_found(answer, self.now)  # type: ignore[arg-type]  # of this request

    def take(self, bytes_max: int) -> int:
        taken = self.machine.take(bytes_max)
        for each in taken:
            assert each.partition in self.assigned and each.partition not in self.paused
            self.returned[each.partition] += decode(each)
            assert self.machine.position(each.partition) == each.next_offset
        return len(taken)

    def step(self, name: str, number: int, amount: int) -> None:
        topic_partition = self.topic_partition(number)
        each = self.cluster.partitions[topic_partition]
        index = number % max(1, len(self.under_way))
        match name:
            case "append":
                each.append(1 + amount % 3, amount)
            case "begin":
                each.append(1 + amount % 3, amount, producer=amount % 2)
            case "commit" | "abort":
                for producer in sorted(each.open)[: 1 + amount % 2]:
                    each.finish(producer, name)
            case "replicate":
                each.replica_end = each.end
            case "move leader":
                each.leader, each.epoch = (each.leader + amount) % NODES, each.epoch + 1
            case "assign":
                self.assign(topic_partition, amount % (each.end + 1))
            case "unassign":
                self.machine.unassign([topic_partition])
                self.assigned.pop(topic_partition, None)
                self.paused.discard(topic_partition)
            case "pause" if topic_partition in self.assigned:
                self.machine.pause([topic_partition])
                self.paused.add(topic_partition)
            case "resume":
                self.machine.resume([topic_partition])
                self.paused.discard(topic_partition)
            case "take":
                self.take(amount)
            case "reach" if self.under_way:
                self.reach(index)
            case "answer" if self.under_way:
                self.answer(index)
            case "lose" if self.under_way:
                request, _ = self.under_way.pop(index)
                self.machine.failed(request, self.now)
            case "wait":
                self.now += amount / 100
            case _:
                pass
        self.send()

    def settle(self) -> None:
        """Let everything that is under way arrive, and read on until nothing is left."""
        self.machine.resume(list(self.paused))
        self.paused.clear()
        for _ in range(500):
            self.send()
            while self.under_way:
                self.answer(0)
            if not self.take(1_000) and self.is_drained():
                return
            self.now += 0.01  # an answer without records has waited
            self.send()
            if not self.under_way:
                self.now = max(self.now, min(self.machine.wake_at(), self.now + 1))
        raise AssertionError("it does not come to an end")

    def is_drained(self) -> bool:
        return all(
            self.machine.position(topic_partition) >= self.cluster.partitions[topic_partition].last_stable
            and self.machine.end(topic_partition) == self.cluster.partitions[topic_partition].last_stable
            for topic_partition in self.assigned
        )


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(STEPS, min_size=60, max_size=300), st.integers(1, 4), st.booleans())
def test_every_committed_record_is_returned_once_and_in_order(
    steps: list[Step], partitions: int, has_rack: bool
) -> None:
    simulation = Simulation(partitions, has_rack)
    for topic_partition in simulation.cluster.partitions:
        simulation.assign(topic_partition, 0)
    for name, number, amount in steps:
        simulation.step(name, number, amount)
        for topic_partition, position in simulation.assigned.items():
            committed = simulation.cluster.partitions[topic_partition].committed(position)
            returned = simulation.returned[topic_partition]
            assert returned == committed[: len(returned)]
    simulation.settle()
    for topic_partition, position in simulation.assigned.items():
        each = simulation.cluster.partitions[topic_partition]
        assert simulation.returned[topic_partition] == each.committed(position)
        assert simulation.machine.end(topic_partition) == each.last_stable
