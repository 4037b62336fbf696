"""Sends what a writer's machines ask for over a network, takes answers back to them, and waits. Used by `writer`."""

import time
from collections.abc import Callable, Mapping
from functools import partial

from headrace.base.ids import TopicPartition
from headrace.kafka.net.network import ApiMessage, Network, NetworkError, TopicMetadata
from headrace.kafka.net.waiting import ANY_NODE, Waiting
from headrace.kafka.produce.errors import refusal
from headrace.kafka.produce.machine import ProduceMachine
from headrace.kafka.produce.messages import AskLeaders, Produce
from headrace.kafka.produce.wire import produce_request, read_produced
from headrace.kafka.transaction.errors import TransactionRemedy, patience, remedy
from headrace.kafka.transaction.machine import TransactionMachine
from headrace.kafka.transaction.messages import (
    Answered,
    CommitFailed,
    FindCoordinator,
    RequestFailed,
    Touched,
    TransactionRequest,
)
from headrace.kafka.transaction.offsets_commit_machine import OffsetsCommitMachine
from headrace.kafka.transaction.state import ProducerState
from headrace.kafka.transaction.text import attempt, worst
from headrace.kafka.transaction.wire import read_answer, transaction_request
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind

__all__ = ["ProduceNetwork"]

_LONGEST_PUMP_MS = 1000

_WRITING = "writing"

#: A leader that moves refuses batches for a moment; who refuses them for so long is worth a warning.
_REFUSED_S = 5.0


class ProduceNetwork:
    """The machines of a writer with their network: one thread drives all three."""

    def __init__(
        self,
        produce: ProduceMachine,
        machine: TransactionMachine | OffsetsCommitMachine,
        network: Network,
        waiting: Waiting,
        *,
        transactional_id: str | None,
        is_newest_protocol: bool,
        request_timeout_ms: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._produce = produce
        self._machine = machine
        self._network = network
        self._waiting = waiting
        self._transactional_id = transactional_id
        self._is_newest = is_newest_protocol
        self._request_timeout_ms = request_timeout_ms
        self._clock = clock
        self._touched: set[TopicPartition] = set()

    def drive(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Turn until something is so; return whether it is. Gives up when `seconds` are over, or in a hurry before."""
        deadline = self._clock() + seconds
        while not is_done():
            left = self._waiting.deadline(deadline) - self._clock()
            if left <= 0:
                return False
            self.turn(left)
        return True

    def turn(self, seconds: float) -> None:
        """Send what the machines want, and take answers; wait for some up to `seconds` if there are none."""
        now = self._clock()
        if self._machine.state in (ProducerState.READY, ProducerState.IN_TRANSACTION):
            topic_partitions = tuple(
                topic_partition
                for topic_partition in self._produce.topic_partitions
                if topic_partition not in self._touched
            )
            if topic_partitions:
                self._machine.handle(Touched(topic_partitions), now)
                self._touched.update(topic_partitions)
            for request in self._produce.due(now, self._machine.is_admitted):
                self._send(request)
        self.tell_machine()
        wish = self._machine.due(now)
        has_waited = wish is not None and self._ask(wish)
        if seconds > 0 and not has_waited:
            wake = min(self._produce.next_time(), self._machine.next_time()) - self._clock()
            wait_ms = max(0.0, min(seconds, wake)) * 1000
            # Rounded up: a pause that is cut off by less than a ms would be a busy loop.
            self._network.pump(min(_LONGEST_PUMP_MS, int(wait_ms) + 1))
        else:
            self._network.pump(0)

    def tell_machine(self) -> None:
        """Let the machine of the transaction know that its records cannot all be written."""
        if self._produce.failure is not None and self._machine.state is ProducerState.IN_TRANSACTION:
            self._machine.handle(CommitFailed(self._produce.failure), self._clock())

    def begin_anew(self) -> None:
        """Forget which partitions the last transaction had."""
        self._touched.clear()

    # ── records ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, request: Produce | AskLeaders) -> None:
        if isinstance(request, AskLeaders):
            self._network.request_metadata(
                request.topics, partial(self._leaders_found, request), self._leaders_failed
            )
            return
        message = produce_request(
            request,
            self._transactional_id,
            timeout_ms=self._request_timeout_ms,
            is_newest_protocol=self._is_newest,
        )
        self._network.send(
            request.node_id,
            message,
            partial(self._produce_answered, request),
            partial(self._produce_failed, request),
        )

    def _leaders_found(self, request: AskLeaders, topics: Mapping[str, TopicMetadata]) -> None:
        self._waiting.is_over(_WRITING, ANY_NODE)
        self._produce.leaders(request, topics, self._clock())

    def _leaders_failed(self, error: NetworkError) -> None:
        self._produce.leaders_failed(self._clock())
        self._note(ANY_NODE, error)

    def _produce_answered(self, request: Produce, answer: ApiMessage) -> None:
        produced = read_produced(answer)
        refused = refusal(produced)
        if refused is None:
            self._waiting.is_over(_WRITING, request.node_id)
        else:
            self._waiting.goes_on(_WRITING, request.node_id, refused, after_s=_REFUSED_S)
        self._produce.answered(request, produced, self._clock())

    def _produce_failed(self, request: Produce, error: NetworkError) -> None:
        self._produce.failed(request, self._clock())
        self._note(request.node_id, error)

    def _note(self, node_id: int, error: NetworkError) -> None:
        if error.is_fatal:
            self._produce.give_up(WriteFailure(WriteFailureKind.HOPELESS, f"cannot write: {error}"))
        else:
            self._waiting.goes_on(_WRITING, node_id, str(error))

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, request: TransactionRequest) -> bool:
        """Send a request for the machine; return whether it was answered at once.

        One for any broker blocks, which is rare: at the start, and after a move.
        """
        message = transaction_request(request, is_newest_protocol=self._is_newest)
        if isinstance(request, FindCoordinator) or request.node_id is None:
            try:
                answer = self._network.call(message, timeout_ms=self._request_timeout_ms)
            except NetworkError as error:
                self._request_failed(request, error)
            else:
                self._request_answered(request, answer)
            return True
        self._network.send(
            request.node_id,
            message,
            partial(self._request_answered, request),
            partial(self._request_failed, request),
        )
        return False

    def _request_answered(self, request: TransactionRequest, answer: ApiMessage) -> None:
        found = read_answer(request, answer)
        code, _ = worst(request, found)
        if remedy(request, code) in (TransactionRemedy.RETRY, TransactionRemedy.FIND_COORDINATOR):
            refused = f"{attempt(request)}: the coordinator answers {code.name}; {patience(code)}"
            self._waiting.goes_on(_WRITING, _node_of(request), refused, after_s=_REFUSED_S)
        else:
            self._waiting.is_over(_WRITING, _node_of(request))
        self._machine.handle(Answered(request, found), self._clock())

    def _request_failed(self, request: TransactionRequest, error: NetworkError) -> None:
        if not error.is_fatal:
            self._waiting.goes_on(_WRITING, _node_of(request), str(error))
        event = RequestFailed(request, error.was_sent, is_fatal=error.is_fatal, detail=str(error))
        self._machine.handle(event, self._clock())


def _node_of(request: TransactionRequest) -> int:
    if isinstance(request, FindCoordinator) or request.node_id is None:
        return ANY_NODE
    return request.node_id
