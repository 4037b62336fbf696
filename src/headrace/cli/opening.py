"""The log that a command looks at, and the application whose serdes it uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.cli.settings import looked_at, make_dev_directory, property_options, settings_of
from headrace.cli.target import FoundTopology, load
from headrace.log.port import Log
from headrace.serde.registry.options import URL
from headrace.streams.config import Config, Layer
from headrace.streams.logs import address_of, open_log
from headrace.streams.options import APPLICATION_ID, EMBEDDED_PATH
from headrace.streams.serdes import configure_serdes

__all__ = ["Subject", "look_options", "subject_of"]

_PATIENCE_MS = 6_000

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Subject:
    """What a command looks at: an application, if one is named, and a log."""

    target: FoundTopology | None
    application_id: str | None
    config: Config

    def open(self) -> Log:
        """Open a log that exists: looking must not make an empty one.

        Raises:
            ConfigError: no log is meant, several could be, or its file is not there.
            LogError: the brokers cannot be reached.
        """
        config = self._looked_at()
        path = address_of(config).path
        if path is not None and not path.exists():
            raise ConfigError(
                f"there is no embedded log {str(path)!r}: start the application, or give --embedded PATH"
            )
        return open_log(config)

    def open_or_make(self) -> Log:
        """Open a log; a file is made if it is not there, and so is the directory where `headrace dev` keeps its log.

        Raises:
            ConfigError: no log is meant, several could be, or the directory that was named is not there.
            LogError: the brokers cannot be reached.
        """
        config = self._looked_at()
        path = address_of(config).path
        if path is not None and config.layer(EMBEDDED_PATH.name) is Layer.DEFAULT:
            make_dev_directory(path)
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(
                f"there is no directory {str(path.parent)!r} for the embedded log: make it, or name another path"
            )
        return open_log(config)

    def _looked_at(self) -> Config:
        # Somebody sits in front of it: an application waits for brokers ten times as long.
        values = {"default.api.timeout.ms": _PATIENCE_MS}
        return looked_at(self.config).with_values(values, Layer.DEFAULT, "default of the command")


def look_options(command: C) -> C:
    """Give a command `--app` and the options that name a log."""
    app = click.option("--app", metavar="MODULE:NAME", help="Application whose serdes and log are meant.")
    return app(property_options(command))


def subject_of(options: dict[str, Any]) -> Subject:
    """Take what `look_options` gave out of a command's keyword arguments.

    Raises:
        ConfigError: a property is unknown or impossible, or a file cannot be read.
        TargetError: `--app` leads to no topology.
    """
    target = load(options["app"]) if options["app"] else None
    config = settings_of(options).config(target.module if target else None)
    if target is not None and config.is_set(URL.name):
        configure_serdes(target.topology, config.values())
    return Subject(target, config.get_or_none(APPLICATION_ID.name), config)
