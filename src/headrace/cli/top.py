"""`headrace top`: an application in a terminal, beside it, by what its HTTP server tells."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import msgspec

from headrace.base.durations import milliseconds
from headrace.base.errors import ConfigError
from headrace.base.wording import shortened
from headrace.cli.server_client import ServerClient, ServerUnansweredError
from headrace.cli.settings import Settings
from headrace.streams.server_options import SERVER_CA, token_of
from headrace.streams.signals import StopSignals

__all__ = ["command"]

_SECONDS_MIN = 0.1

#: How long an answer is waited for.
_PATIENCE_SECONDS = 5.0


@click.command("top")
@click.argument("address", default="127.0.0.1:8080", metavar="[HOST:PORT|URL]")
@click.option("--once", is_flag=True, help="Print it once, and end.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one each time.")
@click.option("--every", metavar="SPAN", default="1s", show_default=True, help="Time between two looks.")
@click.option("--config", "file", metavar="FILE", help="A TOML file of properties.")
@click.option(
    "--set",
    "values",
    metavar="NAME=VALUE",
    multiple=True,
    help="A property, such as server.token.file; may be repeated.",
)
def command(
    address: str, once: bool, as_json: bool, every: str, file: str | None, values: tuple[str, ...]
) -> None:
    """Show how an instance is that is served (`headrace run --serve`): threads, tasks, lag, commits, restores.

    It asks the server at 127.0.0.1:8080, or another address. Where the output is no terminal, it prints once and ends.
    If the instance goes away meanwhile, it says so, and asks again. Ctrl-C ends it.
    """
    seconds = _seconds(every)
    config = Settings(None, None, None, file, values).config(None)
    client = ServerClient(
        address, token=token_of(config), ca=config.get(SERVER_CA), seconds=_PATIENCE_SECONDS
    )

    def look() -> Any:
        return client.get("/overview")

    first = look()
    with suppress(KeyboardInterrupt):  # which is how one leaves
        if as_json:
            _show_lines(first, look, seconds, is_once=once)
            return
        from headrace.cli.top_screen import Screen, print_once  # rich takes 60 ms to import

        if once or not sys.stdout.isatty():
            print_once(first, client.url)
            return
        with Screen(client.url) as screen:
            _follow(screen.show, screen.lose, first, look, seconds, farewell=screen.farewell)


def _show_lines(first: Any, look: Callable[[], Any], seconds: float, *, is_once: bool) -> None:
    def show(document: Any) -> None:
        click.echo(msgspec.json.encode(document).decode())

    def lose(error: ServerUnansweredError) -> None:
        click.echo(f"headrace: {error}; asking again", err=True)

    if is_once:
        show(first)
    else:
        _follow(show, lose, first, look, seconds)


def _follow(
    show: Callable[[Any], None],
    lose: Callable[[ServerUnansweredError], None],
    first: Any,
    look: Callable[[], Any],
    seconds: float,
    *,
    farewell: bytes = b"",
) -> None:
    """Show what there is, time after time, until a signal comes."""
    show(first)
    with StopSignals(farewell=farewell) as signals:
        while not signals.wait(seconds):
            try:
                found = look()
            except ServerUnansweredError as error:
                lose(error)
            else:
                show(found)


def _seconds(every: str) -> float:
    try:
        return max(_SECONDS_MIN, milliseconds(every, name="--every") / 1000)
    except ValueError:
        raise ConfigError(f"--every is {shortened(every)}, but must be a duration such as 2s") from None
