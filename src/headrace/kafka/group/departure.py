"""Ends the membership of somebody else, who is dead: the group goes on at once, and not when the session is over."""

from headrace.base.errors import LogError
from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.coordinators import Coordinators
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.control.groups import ControlGroups
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group import classic_wire, streams_wire
from headrace.kafka.net.messages import ApiMessage

__all__ = ["end_membership"]


def end_membership(admin: Admin, group: str, member_id: str, instance_id: str | None = None) -> None:
    """Leave a group in the name of a member, which must be dead: one that lives loses its tasks by that.

    A static member's place is free then too. Nothing happens where there is no such member any more.

    Raises:
        LogError: the group may not be read, is none of an application's, or nobody answers until the time is over.
    """
    kind = ControlGroups(admin).state(group).kind
    if not kind:
        return  # it is gone with all its members
    attempts = admin.begin(f"end the membership of {member_id!r} in group {group!r}")
    if kind == "streams":
        _ask(admin, attempts, group, streams_wire.leave_request(group, member_id, instance_id))
    elif kind == "classic":
        _ask(admin, attempts, group, classic_wire.leave_request(group, member_id, instance_id))
    else:
        raise LogError(f"cannot {attempts.attempt}: it is a {kind} group, and no application's")


def _ask(admin: Admin, attempts: Attempts, group: str, request: ApiMessage) -> None:
    coordinators = Coordinators(admin)
    while True:
        node_id = coordinators.find(attempts, group)
        # Sent again, it needs a header of its own, but no other content.
        answer = admin.ask(attempts, request, node_id=node_id)
        if answer is None:
            coordinators.forget(group)
            continue
        todo = attempts.judge(ControlRequest.LEAVE_GROUP, answer.error_code)
        if ErrorCode(answer.error_code) is ErrorCode.GROUP_AUTHORIZATION_FAILED:
            raise attempts.error("GROUP_AUTHORIZATION_FAILED; allow this principal to READ the group")
        if todo in (ControlRemedy.TAKE, ControlRemedy.IGNORE):
            return
        coordinators.forget(group)
        attempts.again(attempts.reason(ControlRequest.LEAVE_GROUP, answer.error_code))
