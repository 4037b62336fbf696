"""Tells listeners how global stores are restored: each partition of their topics, up to what was there before."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.base.columns import Chunk
from headrace.base.ids import TopicPartition
from headrace.engine.store_listeners import StoreListeners
from headrace.state.spec import StoreSpec

__all__ = ["GlobalRestores"]


@dataclass(slots=True)
class _UnderWay:
    """One partition. `fetched` are the offsets of chunks that nobody has heard of as restored."""

    restored: int = 0
    fetched: deque[Sequence[int]] = field(default_factory=deque)


class GlobalRestores:
    """Those under way. Belongs to the thread that fills the stores."""

    def __init__(self, listeners: StoreListeners, specs: Iterable[StoreSpec]) -> None:
        self._listeners = listeners
        self._stores = {spec.global_topic: spec.name for spec in specs}
        self._under_way: dict[TopicPartition, _UnderWay] = {}

    def begin(self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Say that these begin; what was under way of them is given up."""
        self.give_up(starts)
        for partition, start in starts.items():
            self._under_way[partition] = _UnderWay()
            self._tell("on_restore_start", partition, start, max(start, ends[partition]))

    def fetched(self, chunk: Chunk) -> None:
        """Know of records that will be processed."""
        found = self._under_way.get(TopicPartition(chunk.topic, chunk.partition))
        if found is not None:
            found.fetched.append(chunk.offsets)

    def look(
        self,
        offsets: Callable[[Iterable[TopicPartition]], Mapping[TopicPartition, int]],
        missing: Collection[TopicPartition],
    ) -> None:
        """Say how far they are, by the next `offsets` to process; those that are not `missing` any more are done."""
        if not self._under_way:
            return
        for partition, offset in offsets(list(self._under_way)).items():
            found = self._under_way[partition]
            is_done = partition not in missing
            while found.fetched and (is_done or found.fetched[0][-1] < offset):
                batch = found.fetched.popleft()
                count = bisect_left(batch, offset)
                if count:
                    found.restored += count
                    self._tell("on_batch_restored", partition, batch[count - 1], count)
            if is_done:
                del self._under_way[partition]
                self._tell("on_restore_end", partition, found.restored)

    def give_up(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Say that these are given up, all by default, where they are under way."""
        for partition in list(self._under_way if partitions is None else partitions):
            if (found := self._under_way.pop(partition, None)) is not None:
                self._tell("on_restore_suspended", partition, found.restored)

    def _tell(self, method: str, partition: TopicPartition, *told: int) -> None:
        self._listeners.of_restores(method, partition, self._stores[partition.topic], *told)
