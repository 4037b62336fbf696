"""What the processing guarantee makes of the other properties."""

from typing import Any

from headrace.base.errors import ConfigError
from headrace.streams.config import Config
from headrace.streams.logs import address_of
from headrace.streams.options import APPLICATION_ID, PROCESSING_GUARANTEE

__all__ = ["engine_values", "transaction_timeout_ms", "transactional_id"]

_COMMIT_INTERVAL = "commit.interval.ms"

#: Kafka Streams' default where a commit is not what makes results visible.
_AT_LEAST_ONCE_INTERVAL_MS = 30_000


def _is_exactly_once(config: Config) -> bool:
    # The embedded log knows nothing else.
    return address_of(config).path is not None or config.get(PROCESSING_GUARANTEE) == "exactly_once_v2"


def engine_values(config: Config) -> dict[str, Any]:
    """Return the properties that are set, and those that follow from the guarantee.

    Raises:
        ConfigError: a transaction would be over before its commit is due, or a session before its sign of life.

    Source: `StreamsConfig` of Kafka Streams: 100 ms between commits for exactly once, else 30 s.
    """
    values = config.values()
    if address_of(config).path is None and config["heartbeat.interval.ms"] >= config["session.timeout.ms"]:
        raise ConfigError(
            f"heartbeat.interval.ms is {config['heartbeat.interval.ms']}, but a session is over after "
            f"{config['session.timeout.ms']} ms of silence: make it a third of session.timeout.ms, or less"
        )
    if not _is_exactly_once(config):
        values.setdefault(_COMMIT_INTERVAL, _AT_LEAST_ONCE_INTERVAL_MS)
    elif address_of(config).path is None:
        interval_ms, timeout_ms = config[_COMMIT_INTERVAL], config["transaction.timeout.ms"]
        if interval_ms >= timeout_ms:
            raise ConfigError(
                f"commit.interval.ms is {interval_ms}, but a transaction lives for {timeout_ms} ms: make it shorter, "
                "or transaction.timeout.ms longer"
            )
    return values


def transactional_id(config: Config, process_id: str, thread: str) -> str | None:
    """Return the id of the transactions of a process's stream thread; None where it has none.

    Who comes back to the state directory ends what its former self has left open. What another process has left open
    holds up nobody: its offsets are read when they are stable, and it ends after `transaction.timeout.ms`.

    Source: StreamThread, `<application.id>-<process id>-<thread>`.
    """
    if not _is_exactly_once(config):
        return None
    return f"{config.get(APPLICATION_ID)}-{process_id}-{thread}"


def transaction_timeout_ms(config: Config) -> int | None:
    """Return after what the log aborts a transaction; None where it never does."""
    if address_of(config).path is not None or not _is_exactly_once(config):
        return None
    timeout_ms: int = config["transaction.timeout.ms"]
    return timeout_ms
