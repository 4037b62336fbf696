"""Which log a configuration means, and opening it."""

from pathlib import Path

from headrace.base.errors import ConfigError
from headrace.log.embedded import EmbeddedLog
from headrace.streams.config import Config
from headrace.streams.options import BOOTSTRAP_SERVERS, EMBEDDED_PATH

__all__ = ["embedded_path", "open_log"]


def embedded_path(config: Config) -> Path:
    """Return the file of the embedded log.

    Raises:
        ConfigError: none is named (there is no default: a missing variable must not start an application on an empty
            file), or brokers are.
    """
    if config.get(BOOTSTRAP_SERVERS) is not None:
        raise ConfigError(
            "bootstrap.servers is set, but this version runs on the embedded log only: "
            "leave it out and name a file with embedded.path"
        )
    path = config.get(EMBEDDED_PATH)
    if path is None:
        raise ConfigError(
            "no log is named: set embedded.path to the file of the embedded log, such as shop.db "
            "(embedded_path=… in code, --embedded PATH for a command)"
        )
    found = Path(path)
    if found.is_dir():
        raise ConfigError(
            f"embedded.path is {path!r}, a directory: name a file, such as {str(found / 'shop.db')!r}"
        )
    return found


def open_log(config: Config) -> EmbeddedLog:
    """Open the log that a configuration names; made if it does not exist.

    Raises:
        ConfigError: as for `embedded_path`.
        LogError: the file cannot be opened.
    """
    return EmbeddedLog.open(embedded_path(config))
