"""Groups of a cluster behind the log port, whatever their protocol."""

from collections.abc import Mapping, Sequence

from kafka.protocol.admin import DescribeGroupsRequest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.control.groups import ControlGroups
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group import classic_wire, streams_wire
from headrace.kafka.group.described import classic_group, streams_group
from headrace.kafka.net.messages import ApiMessage
from headrace.log.groups import CommittedOffset, DescribedGroup, ListedGroup

__all__ = ["KafkaGroups"]


class KafkaGroups:
    """See `Groups`."""

    def __init__(self, admin: Admin, control: ControlGroups) -> None:
        self._admin = admin
        self._control = control

    def list(self) -> Sequence[ListedGroup]:
        """See `Groups.list`."""
        return self._control.list()

    def describe(self, group: str) -> DescribedGroup | None:
        """See `Groups.describe`. Of a group that is neither classic nor a streams group, only that it is there."""
        attempts = self._admin.begin(f"look up group {group!r}")
        return (
            self._classic(attempts, group)
            or self._streams(attempts, group)
            or next(
                (
                    DescribedGroup(name=group, kind=each.kind, state=each.state)
                    for each in self._control.list()
                    if each.name == group
                ),
                None,
            )
        )

    def _classic(self, attempts: Attempts, group: str) -> DescribedGroup | None:
        kind = ControlRequest.DESCRIBE_GROUPS
        while True:
            answer = self._control.ask(attempts, group, DescribeGroupsRequest(groups=[group]))
            if answer is None:
                continue
            told = answer.groups[0]
            said = getattr(told, "error_message", None)
            todo = self._control.judge(attempts, group, kind, told.error_code, said)
            if todo is ControlRemedy.TAKE:
                # Older brokers say so of a group that is not there.
                return None if told.group_state == "Dead" else classic_group(told)
            if todo is not None:
                return None

    def _streams(self, attempts: Attempts, group: str) -> DescribedGroup | None:
        kind = ControlRequest.DESCRIBE_STREAMS_GROUPS
        request = streams_wire.describe_request(group)
        if not self._admin.has(request):
            return None
        while True:
            answer = self._control.ask(attempts, group, request)
            if answer is None:
                continue
            told = answer.groups[0]
            todo = self._control.judge(attempts, group, kind, told.error_code, told.error_message)
            if todo is not None:
                return streams_group(told) if todo is ControlRemedy.TAKE else None

    def committed(self, group: str, *, waits: bool = True) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Groups.committed`."""
        return self._control.committed(group, None, waits=waits)

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """See `Groups.commit`."""
        self._control.commit(group, offsets)

    def delete(self, group: str) -> None:
        """See `Groups.delete`."""
        self._control.delete(group)

    def end_membership(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        """See `Groups.end_membership`: the group goes on at once, and not when the member's session is over."""
        found = self.describe(group)
        if found is None:
            return  # it is gone with all its members
        attempts = self._admin.begin(f"end the membership of {member_id!r} in group {group!r}")
        if found.kind == "streams":
            self._leave(attempts, group, streams_wire.leave_request(group, member_id, instance_id))
        elif found.kind == "classic":
            self._leave(attempts, group, classic_wire.leave_request(group, member_id, instance_id))
        else:
            raise LogError(f"cannot {attempts.attempt}: it is a {found.kind} group, and no application's")

    def _leave(self, attempts: Attempts, group: str, request: ApiMessage) -> None:
        kind = ControlRequest.LEAVE_GROUP
        while True:
            answer = self._control.ask(attempts, group, request)
            if answer is None:
                continue
            if ErrorCode(answer.error_code) is ErrorCode.GROUP_AUTHORIZATION_FAILED:
                raise attempts.error("GROUP_AUTHORIZATION_FAILED; allow this principal to READ the group")
            if self._control.judge(attempts, group, kind, answer.error_code) is not None:
                return

    def config(self, group: str) -> Mapping[str, str]:
        """See `Groups.config`."""
        return self._control.config(group)
