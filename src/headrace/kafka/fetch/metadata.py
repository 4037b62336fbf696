"""When the fetch machine asks for metadata, and what metadata means to a partition."""

from collections.abc import Collection, Iterable, Mapping

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.errors import FetchRemedy, made_again, metadata_remedy, refused
from headrace.kafka.fetch.messages import AskMetadata, FetchLimits, TopicLeaders
from headrace.kafka.fetch.partition import FetchPhase, PartitionState
from headrace.log.admission import unknown_topic

__all__ = ["MetadataWatch", "take_topic"]

#: How long metadata may not know a topic (s): a broker hears of a new one a moment after the one that made it.
_MISSING_SECONDS = 1.0

_NEVER = float("inf")
_NO_TOPIC = TopicLeaders(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


class MetadataWatch:
    """Asks for metadata when it is wanted, when it is old, and again while something is missing; one at a time."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._topics: dict[str, TopicLeaders] = {}
        self._asked: AskMetadata | None = None
        self._asked_at = -_NEVER
        self._attempts = 0
        self.due_at = _NEVER

    def known(self, topic: str) -> TopicLeaders | None:
        """What was said last of a topic."""
        return self._topics.get(topic)

    def keep(self, topics: Collection[str]) -> None:
        """Forget all others: a topic may be made again while nobody reads it."""
        self._topics = {name: topic for name, topic in self._topics.items() if name in topics}

    def want(self, now: float, *, at_once: bool = False) -> None:
        """Ask soon; unless `at_once`, not at every error."""
        pause = -_NEVER if at_once else self._asked_at + self._limits.retry_backoff_ms / 1000
        self.due_at = min(self.due_at, max(now, pause))

    def request(self, topics: Iterable[str], now: float) -> AskMetadata | None:
        """Return the request for these topics if it is due."""
        if self._asked is not None or now < self.due_at:
            return None
        self._asked, self._asked_at, self.due_at = AskMetadata(tuple(sorted(set(topics)))), now, _NEVER
        return self._asked

    @property
    def wake_at(self) -> float:
        """When `request` has something to say without an event before."""
        return _NEVER if self._asked is not None else self.due_at

    def failed(self, now: float) -> None:
        """The request has no answer."""
        self._asked = None
        self.due_at = now + self._pause()

    def found(self, topics: Mapping[str, TopicLeaders]) -> Mapping[str, TopicLeaders]:
        """Take in the answer; return what it says of each topic that was asked for."""
        names = self._asked.topics if self._asked is not None else tuple(topics)
        self._asked = None
        told = {name: topics.get(name, _NO_TOPIC) for name in names}
        self._topics.update(told)
        return told

    def plan(self, open_topics: Collection[str], told: Collection[str], now: float) -> None:
        """Decide when to ask again; `open_topics` have partitions that need it although some of them were told of."""
        if not open_topics:
            self._attempts = 0
            self.due_at = min(self.due_at, now + self._limits.metadata_max_age_ms / 1000)
        elif all(topic in told for topic in open_topics):
            self.due_at = now + self._pause()
        else:
            self.due_at = now

    def _pause(self) -> float:
        pause = self._limits.pause_s(self._attempts)
        self._attempts += 1
        return pause


def take_topic(state: PartitionState, topic: TopicLeaders, generation: int, now: float) -> None:
    """Tell a partition what metadata says of its topic. `generation` is a fresh one."""
    found = topic.partitions.get(state.topic_partition.partition)
    error = topic.error
    if metadata_remedy(error) is FetchRemedy.TAKE:
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if found is None else found.error
    remedy = metadata_remedy(error)
    if remedy is FetchRemedy.MISSING:
        _is_missing(state, metadata_remedy(topic.error) is FetchRemedy.MISSING, now)
        return
    state.missing_since = None
    if remedy is FetchRemedy.FAIL:
        state.fail(refused(state.topic_partition, state.position, error))
        return
    state.is_known = True
    if topic.id and state.topic_id and topic.id != state.topic_id:
        state.fail(made_again(state.topic_partition, state.position))
        return
    state.topic_id = topic.id or state.topic_id
    # A broker that names an older leadership than is known has not heard of the newer one yet.
    if found is not None and found.leader >= 0 and not 0 <= found.leader_epoch < state.leader_epoch:
        state.led_by(found.leader, found.leader_epoch, generation)


def _is_missing(state: PartitionState, is_topic: bool, now: float) -> None:
    if state.missing_since is None:
        state.missing_since = now
    if now - state.missing_since >= _MISSING_SECONDS and state.phase is not FetchPhase.FAILED:
        state.fail(
            unknown_topic(
                "read", state.topic_partition.topic, None if is_topic else state.topic_partition.partition
            )
        )
