"""Which log a configuration means, and opening it."""

from dataclasses import dataclass
from pathlib import Path

from headrace.base.errors import ConfigError
from headrace.log.port import Log
from headrace.streams.config import Config
from headrace.streams.lock import ApplicationLock
from headrace.streams.options import APPLICATION_ID, EMBEDDED_PATH, STATE_DIR
from headrace.streams.remembered_log import RememberedLog
from headrace.streams.unfinished import UnfinishedFile

__all__ = ["LogAddress", "address_of", "open_log", "open_log_under"]

_SERVERS = "bootstrap.servers"


@dataclass(frozen=True, slots=True)
class LogAddress:
    """The file of an embedded log, or the brokers of a cluster: one of them is set."""

    path: Path | None = None
    servers: str | None = None

    def __str__(self) -> str:
        return f"Kafka at {self.servers}" if self.path is None else str(self.path)


def address_of(config: Config) -> LogAddress:
    """Return which log is meant. Where both are named, what comes from the higher layer wins: a flag over a file.

    Raises:
        ConfigError: none is named (there is no default: a missing variable must not start an application on an empty
            file), or both by the same layer.
    """
    path, servers = config.get(EMBEDDED_PATH), ",".join(config[_SERVERS]) or None
    if path is not None and servers is not None:
        file_layer, servers_layer = config.layer(EMBEDDED_PATH.name), config.layer(_SERVERS)
        if file_layer == servers_layer:
            raise ConfigError(
                f"two logs are named, embedded.path ({path}) and bootstrap.servers ({servers}): keep one of them"
            )
        if file_layer > servers_layer:
            servers = None
        else:
            path = None
    if servers is not None:
        return LogAddress(servers=servers)
    if path is None:
        raise ConfigError(
            "no log is named: set bootstrap.servers to the brokers of a Kafka cluster (bootstrap_servers=… in code, "
            "--bootstrap-servers HOST:PORT for a command), or embedded.path to the file of an embedded log "
            "(embedded_path=…, --embedded PATH)"
        )
    found = Path(path)
    if found.is_dir():
        raise ConfigError(
            f"embedded.path is {path!r}, a directory: name a file, such as {str(found / 'shop.db')!r}"
        )
    return LogAddress(path=found)


def open_log(config: Config) -> Log:
    """Open the log that a configuration names; a file is made if it does not exist.

    Raises:
        ConfigError: as for `address_of`, or the properties of the connections do not fit together.
        LogError: the file cannot be opened, or the brokers cannot be reached.
    """
    address = address_of(config)
    # Each is imported when it is needed: a client library takes longer to load than all of headrace.
    if address.path is not None:
        from headrace.log.embedded.log import EmbeddedLog

        return EmbeddedLog.open(address.path)
    from headrace.kafka.log import KafkaLog
    from headrace.kafka.options import ConnectionSettings, KafkaOptions

    return KafkaLog(ConnectionSettings.of(config.values()), KafkaOptions.of(config.values()))


def open_log_under(lock: ApplicationLock, config: Config, record: RememberedLog) -> Log:
    """Open an application's log and acquire its lock; where that fails nothing is held.

    The log comes first, since the lock's file beside it says from then on that there is one.

    Raises:
        AlreadyRunningError, StateError: as for `ApplicationLock.acquire`, or a command has left the group half changed.
        ConfigError: as for `open_log`.
        LogError: as for `open_log`, or the file is not there although `record` says that it was.
    """
    path = address_of(config).path
    if path is not None:
        record.check(path)
    log = open_log(config)
    try:
        lock.acquire()
        # Under the lock: who writes the file holds it.
        UnfinishedFile(Path(config.get(STATE_DIR)), config.get(APPLICATION_ID)).refuse_start()
        if path is not None:
            record.write(path)
    except BaseException:
        lock.release()
        log.close()
        raise
    return log
