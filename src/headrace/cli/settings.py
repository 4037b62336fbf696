"""Options that several commands share, and the configuration that they make together."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.cli.target import make_importable
from headrace.streams.config import Config, Layer

__all__ = ["Settings", "log_file", "property_options", "settings_of"]

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
        loaded = Config.load(self.file)
        for name, value in loaded.values().items():
            config = config.with_values({name: value}, loaded.layer(name), loaded.origin(name))
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
    click.option(
        "--bootstrap-servers", metavar="HOSTS", hidden=True, help="Kafka brokers; not in this version."
    ),
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


def log_file(embedded: str | None, state_dir: str, application_id: str | None) -> Path:
    """Return the log's file for a command that looks at what exists.

    In this order: `--embedded`, `HEADRACE_EMBEDDED_PATH`, the log that `headrace dev` keeps for the application, and
    the only such log there is.

    Raises:
        ConfigError: there is no file, or several could be meant.
    """
    named = embedded or os.environ.get("HEADRACE_EMBEDDED_PATH")
    if named is not None:
        path = Path(named)
        if path.is_dir():
            raise ConfigError(f"{named!r} is a directory: name the file of the embedded log")
        return path
    if application_id is not None:
        return dev_log(state_dir, application_id)
    logs = sorted(Path(state_dir).glob("*.db"))
    if len(logs) == 1:
        return logs[0]
    if not logs:
        raise ConfigError(
            f"no embedded log is named, and {state_dir} has none of `headrace dev`: give --embedded PATH"
        )
    raise ConfigError(
        f"several embedded logs could be meant ({', '.join(map(str, logs))}): give --embedded PATH"
    )


def dev_log(state_dir: str, application_id: str) -> Path:
    """Return where `headrace dev` keeps the log of an application: beside its state, which may be deleted alone."""
    return Path(state_dir, f"{application_id}.db")
