"""`--serve HOST:PORT`: the HTTP server of an application that the command runs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.streams.config import Config, Layer
from headrace.streams.options import WORKER_NUMBER
from headrace.streams.runnable import Runnable

if TYPE_CHECKING:
    from headrace.server import Server

__all__ = ["Serving", "serve_options", "serving_of"]

C = TypeVar("C", bound=Callable[..., Any])

_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:\s]*)):(\d{1,5})")
_ALL_ADDRESSES = ("", "0.0.0.0", "::")


def serve_options(command: C) -> C:
    """Give a command the options from which `serving_of` reads."""
    command = click.option(
        "--insecure", is_flag=True, help="Let --serve answer others than this machine without a token."
    )(command)
    return click.option(
        "--serve", "address", metavar="HOST:PORT", help="Answer queries and health checks over HTTP."
    )(command)


@dataclass(frozen=True, slots=True)
class Serving:
    """Where to serve; nowhere without a host."""

    host: str | None = None
    port: int = 0
    is_insecure: bool = False

    def config(self, config: Config) -> Config:
        """Return a configuration in which others know where this process is asked, unless it says so itself.

        Worker i of several has the i-th port from the first one on.

        Raises:
            ConfigError: nothing says how others reach it.
        """
        if self.host is None:
            return config
        offset = (config.get(WORKER_NUMBER) or 1) - 1
        if config.is_set("application.server"):
            return config if not offset else _shifted(config, offset)
        if self.host in _ALL_ADDRESSES:
            raise ConfigError(
                f"--serve listens on all addresses: say with --set application.server=HOST:{self.port} under which one "
                "other instances reach this one"
            )
        if self.port == 0:
            return config  # only a server that is asked by nobody else has a port that nobody knows
        host = f"[{self.host}]" if ":" in self.host else self.host
        return config.with_values(
            {"application.server": f"{host}:{self.port + offset}"}, Layer.DEFAULT, "flag --serve"
        )

    def server(self, application: Runnable) -> "Server | None":
        """Make the server, which listens already and answers when it is started; None where there is to be none.

        Raises:
            ConfigError: the address cannot be used, or the extra `server` is not installed.
        """
        if self.host is None:
            return None
        try:
            from headrace.server import Server
        except ImportError as error:
            raise ConfigError(f"--serve cannot be used: {error}") from None
        offset = (application.config.get(WORKER_NUMBER) or 1) - 1
        port = self.port + offset if self.port else 0
        return Server(application, self.host, port, is_insecure=self.is_insecure)


def serving_of(options: dict[str, Any]) -> Serving:
    """Take the options out of a command's keyword arguments.

    Raises:
        ConfigError: the address is none.
    """
    address, is_insecure = options["address"], options["insecure"]
    if address is None:
        if is_insecure:
            raise ConfigError("--insecure is about --serve, which is not given")
        return Serving()
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[3]) > 65535:
        raise ConfigError(f"--serve is {address!r}: write HOST:PORT, such as 127.0.0.1:8080")
    return Serving(found[1] or found[2] or "", int(found[3]), is_insecure)


def _shifted(config: Config, offset: int) -> Config:
    host, _, port = config["application.server"].rpartition(":")
    if not port.isdigit():
        return config  # which is refused where it is read
    server = f"{host}:{int(port) + offset}"
    return config.with_values(
        {"application.server": server}, Layer.FLAG, f"{config.origin('application.server')}, of this worker"
    )
