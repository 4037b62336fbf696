"""Makes a writer on a Kafka cluster: connects, chooses the machine for the guarantee, and gets the producer its id."""

import time
from collections.abc import Callable

from headrace.kafka.net.network import Network
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.machine import ProduceMachine
from headrace.kafka.produce.messages import ProduceLimits
from headrace.kafka.produce.network import ProduceNetwork
from headrace.kafka.produce.topics import WriterTopics
from headrace.kafka.produce.writer import KafkaWriter
from headrace.kafka.transaction.machine import TransactionMachine
from headrace.kafka.transaction.messages import TransactionLimits
from headrace.kafka.transaction.offsets_commit_machine import OffsetsCommitMachine
from headrace.kafka.transaction.wire import has_newest_protocol
from headrace.log.port import TopicInfo

__all__ = ["open_writer"]


def open_writer(
    settings: ConnectionSettings,
    options: KafkaOptions,
    group: str,
    transactional_id: str | None = None,
    *,
    topics: Callable[[str], TopicInfo],
    network: Network | None = None,
    waiting: Waiting | None = None,
    clock: Callable[[], float] = time.monotonic,
    is_newest_protocol: bool | None = None,
    needs_member: Callable[[], bool] = lambda: False,
) -> KafkaWriter:
    """Connect and get an id. `topics` tells of one topic, or raises UnknownTopicError.

    Where it `needs_member`, a commit of offsets must name the group's member that makes it.
    `waiting` may cut short what blocks, and is told of what does not answer.
    `is_newest_protocol=False` keeps to the older protocol for transactions where the cluster has the newer, too.

    Raises:
        LogError: the cluster cannot be reached (a LogUnavailableError), or refuses the producer; says why.
    """
    waiting = waiting or Waiting(clock)
    purpose = f"writer-{transactional_id or group}"
    connected = network or Network(settings, purpose=purpose, waiting=waiting)
    try:
        if network is None:
            connected.connect()
        found = transactional_id is not None and has_newest_protocol(connected)
        is_newest = found and is_newest_protocol is not False
        produce = ProduceMachine(
            ProduceLimits(
                request_bytes_max=options.max_request_size,
                delivery_timeout_ms=options.delivery_timeout_ms,
                retry_backoff_ms=settings.retry_backoff_ms,
                retry_backoff_max_ms=settings.retry_backoff_max_ms,
            )
        )
        machine = _machine(settings, options, group, transactional_id, is_newest_protocol=is_newest)
        wire = ProduceNetwork(
            produce,
            machine,
            connected,
            waiting,
            transactional_id=transactional_id,
            is_newest_protocol=is_newest,
            request_timeout_ms=settings.request_timeout_ms,
            clock=clock,
        )
        writer = KafkaWriter(
            produce,
            machine,
            wire,
            network=connected,
            topics=WriterTopics(topics),
            waiting=waiting,
            options=options,
            transactional_id=transactional_id,
            needs_member=needs_member,
            seconds_max=(options.delivery_timeout_ms + settings.request_timeout_ms) / 1000,
            clock=clock,
        )
        writer.begin(settings.default_api_timeout_ms / 1000)
    except BaseException:
        connected.close()
        raise
    return writer


def _machine(
    settings: ConnectionSettings,
    options: KafkaOptions,
    group: str,
    transactional_id: str | None,
    *,
    is_newest_protocol: bool,
) -> TransactionMachine | OffsetsCommitMachine:
    limits = TransactionLimits(
        timeout_ms=options.transaction_timeout_ms,
        retry_backoff_ms=settings.retry_backoff_ms,
        retry_backoff_max_ms=settings.retry_backoff_max_ms,
    )
    if transactional_id is None:
        return OffsetsCommitMachine(group, limits)
    return TransactionMachine(transactional_id, group, limits, is_newest_protocol=is_newest_protocol)
