"""Options that several commands share, and the configuration that they make together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.cli.target import make_importable
from headrace.streams.config import Config, Layer
from headrace.streams.options import APPLICATION_ID, STATE_DIR

__all__ = [
    "Settings",
    "dev_log",
    "looked_at",
    "make_dev_directory",
    "property_options",
    "settings_of",
]

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Settings:
    """What the shared options say."""

    application_id: str | None
    embedded: str | None
    bootstrap_servers: str | None
    file: str | None
    values: Sequence[str]

    def config(self, module: str | None, **defaults: object) -> Config:
        """Gather code, file, environment and flags; the application id is the module's name unless one is set.

        Raises:
            ConfigError: a property is unknown or impossible, or a file cannot be read.
        """
        make_importable(Path.cwd())  # a handler may be named by module
        config = Config().with_values(
            {"application.id": module, **defaults}, Layer.DEFAULT, "default of the command"
        )
        config = config.merged(Config.load(self.file))
        for text in self.values:
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"--set {text!r} has no '=': write --set name=value")
            config = config.with_values({name.strip(): value.strip()}, Layer.FLAG, "flag --set")
        flags = {
            "application.id": ("--application-id", self.application_id),
            "embedded.path": ("--embedded", self.embedded),
            "bootstrap.servers": ("--bootstrap-servers", self.bootstrap_servers),
        }
        for name, (flag, given) in flags.items():
            if given is not None:
                config = config.with_values({name: given}, Layer.FLAG, f"flag {flag}")
        return config


_OPTIONS = (
    click.option("--embedded", metavar="PATH", help="File of the embedded log, such as shop.db."),
    click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Brokers of a Kafka cluster."),
    click.option(
        "--application-id", metavar="ID", help="The application's id; by default the module's name."
    ),
    click.option("--config", "file", metavar="FILE", help="A TOML file of properties."),
    click.option(
        "--set", "values", metavar="NAME=VALUE", multiple=True, help="Any property; may be repeated."
    ),
)


def property_options(command: C) -> C:
    """Give a command the options from which `settings_of` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> Settings:
    """Take the shared options out of a command's keyword arguments."""
    names = ("application_id", "embedded", "bootstrap_servers", "file", "values")
    return Settings(**{name: options[name] for name in names})


def looked_at(config: Config) -> Config:
    """Return the configuration of a command that looks at what exists, with the log that it means.

    Where none is named: the log that `headrace dev` keeps for the application, or the only such log there is.

    Raises:
        ConfigError: none is named, and there is none of `headrace dev`, or several could be meant.
    """
    if config.is_set("embedded.path") or config.is_set("bootstrap.servers"):
        return config
    state_dir = config.get(STATE_DIR)
    application_id = config.get_or_none(APPLICATION_ID.name)
    if application_id is not None:
        found = dev_log(state_dir, application_id)
    else:
        logs = sorted(Path(state_dir).glob("*.db"))
        if not logs:
            raise ConfigError(
                f"no log is named, and {state_dir} has none of `headrace dev`: give --embedded PATH, or "
                "--bootstrap-servers HOST:PORT"
            )
        if len(logs) > 1:
            raise ConfigError(
                f"several embedded logs could be meant ({', '.join(map(str, logs))}): give --embedded PATH"
            )
        found = logs[0]
    return config.with_values({"embedded.path": str(found)}, Layer.DEFAULT, "the log of `headrace dev`")


def dev_log(state_dir: str, application_id: str) -> Path:
    """Return where `headrace dev` keeps the log of an application: beside its state, which may be deleted alone."""
    return Path(state_dir, f"{application_id}.db")


def make_dev_directory(log: Path) -> None:
    """Make the directory of the log that `headrace dev` keeps, if it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {log.parent} for the log of `headrace dev`: {error.strerror or error}; run it in "
            "a directory that can be written, or give --embedded PATH and --set state.dir=PATH"
        ) from None
