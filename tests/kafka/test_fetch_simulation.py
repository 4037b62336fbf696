"""The fetch machine against a model of a cluster: every committed record once, in order, whatever happens between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.ids import TopicPartition
from headrace.kafka.fetch_machine import FetchMachine
from headrace.kafka.fetch_messages import AskBounds, AskMetadata, Fetch, FetchLimits, Request
from tests.kafka.fetch_cluster import NODES, ModelCluster, decode

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

    def place(self, number: int) -> TopicPartition:
        places = list(self.cluster.partitions)
        return places[number % len(places)]

    def assign(self, place: TopicPartition, position: int) -> None:
        self.machine.assign({place: position}, self.now)
        self.assigned[place], self.returned[place] = position, []

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
        place = self.place(number)
        each = self.cluster.partitions[place]
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
                self.assign(place, amount % (each.end + 1))
            case "unassign":
                self.machine.unassign([place])
                self.assigned.pop(place, None)
                self.paused.discard(place)
            case "pause" if place in self.assigned:
                self.machine.pause([place])
                self.paused.add(place)
            case "resume":
                self.machine.resume([place])
                self.paused.discard(place)
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
            self.machine.position(place) >= self.cluster.partitions[place].last_stable
            and self.machine.end(place) == self.cluster.partitions[place].last_stable
            for place in self.assigned
        )


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=60, max_size=300), st.integers(1, 4), st.booleans())
def test_every_committed_record_is_returned_once_and_in_order(
    steps: list[Step], partitions: int, has_rack: bool
) -> None:
    simulation = Simulation(partitions, has_rack)
    for place in simulation.cluster.partitions:
        simulation.assign(place, 0)
    for name, number, amount in steps:
        simulation.step(name, number, amount)
        for place, position in simulation.assigned.items():
            committed = simulation.cluster.partitions[place].committed(position)
            returned = simulation.returned[place]
            assert returned == committed[: len(returned)]
    simulation.settle()
    for place, position in simulation.assigned.items():
        each = simulation.cluster.partitions[place]
        assert simulation.returned[place] == each.committed(position)
        assert simulation.machine.end(place) == each.last_stable
