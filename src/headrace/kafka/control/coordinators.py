"""Which broker coordinates a group, remembered until it says that it does not."""

from typing import Any

from kafka.protocol.metadata import FindCoordinatorRequest

from headrace.kafka.control.admin import Admin, Attempts
from headrace.kafka.control.errors import ControlRemedy, ControlRequest
from headrace.kafka.metadata import Address

__all__ = ["Coordinators"]

_GROUP = 0


class Coordinators:
    """Coordinators by group. A race between threads costs one request more."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._known: dict[str, int] = {}

    def find(self, attempts: Attempts, group: str) -> int:
        """Return the node id of a group's coordinator.

        Raises:
            LogError: the group may not be described, or has no coordinator until the time is over.
        """
        known = self._known.get(group)
        while known is None:
            # Version 4 asks for several at once, in other fields.
            version = self._admin.version(attempts, FindCoordinatorRequest, newest=3)
            answer = self._admin.ask(
                attempts, FindCoordinatorRequest(version=version, key=group, key_type=_GROUP)
            )
            if answer is not None:
                known = self._take(attempts, answer)
        self._known[group] = known
        return known

    def _take(self, attempts: Attempts, answer: Any) -> int | None:
        todo = attempts.judge(ControlRequest.FIND_COORDINATOR, answer.error_code, answer.error_message)
        if todo is not ControlRemedy.TAKE:
            attempts.again(attempts.reason(ControlRequest.FIND_COORDINATOR, answer.error_code))
            return None
        node_id: int = answer.node_id
        self._admin.learn_broker(node_id, Address(answer.host, answer.port))
        return node_id

    def forget(self, group: str) -> None:
        """Ask again next time."""
        self._known.pop(group, None)
