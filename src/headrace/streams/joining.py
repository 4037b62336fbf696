"""How a process becomes a member of its application's group, as its configuration says."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from headrace.base.errors import ConfigError
from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import AssignmentOptions
from headrace.group.user_data import Endpoint, TaskProgress
from headrace.log.membership import JoinOptions, Membership
from headrace.log.port import Log
from headrace.streams.client_tags import client_tags
from headrace.streams.config import Config
from headrace.streams.options import APPLICATION_ID

__all__ = ["endpoint_of", "joiner"]

# A literal IPv6 address stands in brackets.
_SERVER = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:\s]+)):(\d{1,5})")


def joiner(
    log: Log,
    config: Config,
    process_id: str,
    member_id: str,
    thread: str,
    progress: Mapping[TaskId, TaskProgress],
) -> Callable[[GroupApplication], Membership]:
    """Return what makes a stream thread of this process a member: with `member_id`, the one that it was before.

    `progress` tells how far the state is that lies here. A static member is named after the instance and the thread, as
    in Kafka Streams (StreamsConfig).

    Raises:
        ConfigError: `application.server` is no address, or there are too many tags.
    """
    instance_id = config["group.instance.id"]
    options = JoinOptions(
        process_id=process_id,
        member_id=member_id,
        protocol=config["group.protocol"],
        instance_id=None if instance_id is None else f"{instance_id}-{thread}",
        max_poll_interval_ms=config["max.poll.interval.ms"],
        endpoint=endpoint_of(config),
        client_tags=client_tags(config.values()),
        probing_rebalance_interval_ms=config["probing.rebalance.interval.ms"],
        assignment=AssignmentOptions(
            num_standby_replicas=config["num.standby.replicas"],
            acceptable_recovery_lag=config["acceptable.recovery.lag"],
            max_warmup_replicas=config["max.warmup.replicas"],
            rack_aware_assignment_tags=tuple(config["rack.aware.assignment.tags"]),
        ),
    )
    group = config.get(APPLICATION_ID)

    def join(application: GroupApplication) -> Membership:
        has = frozenset(application.tasks)  # there may be state of an earlier topology
        known = {task: at for task, at in progress.items() if task in has}
        return log.join(group, application, replace(options, progress=known))

    return join


def endpoint_of(config: Config) -> Endpoint | None:
    """Return host and port of `application.server`, None where it is not set.

    Raises:
        ConfigError: it is no address.
    """
    server: str = config["application.server"]
    if not server:
        return None
    found = _SERVER.fullmatch(server)
    if found is None or not 0 < int(found[3]) < 65536:
        raise ConfigError(
            f"application.server is {server!r}: write host:port, where others reach this instance"
        )
    return found[1] or found[2], int(found[3])
