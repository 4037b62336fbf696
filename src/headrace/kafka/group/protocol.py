"""What a control thread needs of a group protocol: a machine that speaks in messages. Driven by `control_loop`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.membership import Effect
from headrace.group.user_data import TaskProgress
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import ApiMessage

__all__ = ["BrokerFacts", "GroupProtocol", "Heard", "Question"]


class BrokerFacts(NamedTuple):
    """What the brokers met so far can do.

    Attributes:
        streams_heartbeat: newest version of StreamsGroupHeartbeat that all of them have; None where one has none.
        streams_version: level of the cluster's feature `streams.version`.
    """

    streams_heartbeat: int | None
    streams_version: int


class Question(NamedTuple):
    """A request to the coordinator. `is_slow`: it is answered when others have done something."""

    message: ApiMessage
    timeout_ms: int | None = None
    is_slow: bool = False


class Heard(NamedTuple):
    """What follows from an answer.

    Attributes:
        has_moved: the coordinator is somewhere else.
        is_member: the coordinator has answered it as a member of its group, whose session began anew with the question.
    """

    effects: Sequence[Effect] = ()
    has_moved: bool = False
    is_member: bool = False


class GroupProtocol(Protocol):
    """One member, as its machine sees it. Belongs to one thread; times are monotonic seconds.

    Attributes:
        has_ended: nothing more will be asked.
        waits_for: why it is not let in yet, for people to read; None where that is not so.
    """

    @property
    def has_ended(self) -> bool: ...

    @property
    def waits_for(self) -> str | None: ...

    def obstacle(self, facts: BrokerFacts) -> str | None:
        """Say why these brokers cannot be spoken to, with the setting to change; None where they can."""

    def next_time(self) -> float:
        """When something is to be asked, unless an event comes first."""

    def ask(self, facts: BrokerFacts, now: float) -> Question | None:
        """Return what is to be asked now, if anything is; it is under way then."""

    def answered(self, answer: ApiMessage, now: float) -> Heard:
        """Take an answer."""

    def unanswered(self, error: NetworkError, now: float) -> Sequence[Effect]:
        """Hear that there is none."""

    def give_up(self, reason: str, now: float) -> Sequence[Effect]:
        """End, since there is nobody to speak to, and never will be."""

    def acknowledge(self, number: int, now: float) -> None:
        """See `Membership.acknowledge`."""

    def released(self, now: float) -> None:
        """See `Membership.dropped`."""

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """See `Membership.report`."""

    def rejoin(self, application: GroupApplication | None, now: float) -> None:
        """See `Membership.rejoin`."""

    def stop_application(self, now: float) -> None:
        """See `Membership.stop_application`."""

    def ask_for_endpoints(self) -> None:
        """See `Membership.ask_for_endpoints`."""

    def leave(self, now: float, *, for_good: bool) -> Sequence[Effect]:
        """See `Membership.leave`."""

    def begin_anew(self, now: float) -> None:
        """Join again after the end, as one that has no tasks."""
