"""`headrace completion`: what a shell needs to complete commands, options, and the names of topics and stores."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import get_completion_class

from headrace.base.errors import HeadraceError
from headrace.cli.opening import Subject
from headrace.cli.settings import Settings, looked_at
from headrace.log.port import Log
from headrace.streams.config import Config
from headrace.streams.logs import address_of

__all__ = ["command", "store_names", "topic_names"]

_VARIABLE = "_HEADRACE_COMPLETE"

_HINTS = {
    "bash": 'eval "$(headrace completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(headrace completion zsh)" in ~/.zshrc, behind compinit',
    "fish": "headrace completion fish > ~/.config/fish/completions/headrace.fish",
}


@click.command(
    "completion",
    epilog="\b\nTo have it in every shell:\n"
    + "\n".join(f"  {name}: {hint}" for name, hint in _HINTS.items()),
)
@click.argument("shell", type=click.Choice(list(_HINTS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands, options, and names of topics and stores.

    Names are those in the embedded log that the command line means so far; brokers are not asked.
    """
    completion = get_completion_class(shell)
    assert completion is not None, "click knows the shells that may be chosen"
    click.echo(completion(ctx.find_root().command, {}, "headrace", _VARIABLE).source())


def topic_names(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the topics that a word may become."""
    return _names(ctx, begun, lambda log, application_id: log.topics())


def store_names(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the stores that a word may become: those with a changelog."""

    def names(log: Log, application_id: str | None) -> Iterable[str]:
        prefix, suffix = f"{application_id}-", "-changelog"
        return [
            topic[len(prefix) : -len(suffix)]
            for topic in log.topics()
            if topic.startswith(prefix) and topic.endswith(suffix)
        ]

    return _names(ctx, begun, names)


def _names(ctx: click.Context, begun: str, names: Callable[[Log, str | None], Iterable[str]]) -> list[str]:
    """Look into the log that is meant. Somebody is typing: what goes wrong is nothing to tell them now."""
    try:
        config = _config(ctx)
        if address_of(looked_at(config)).path is None:
            return []
        application_id = config.get_or_none("application.id")
        log = Subject(None, application_id, config).open()
        try:
            return sorted(name for name in names(log, application_id) if name.startswith(begun))
        finally:
            log.close()
    except (HeadraceError, OSError):
        return []


def _config(ctx: click.Context) -> Config:
    """Make the configuration of what stands on the line so far, without running the application's module."""
    given = ctx.params
    settings = Settings(
        given.get("application_id"),
        given.get("embedded"),
        given.get("bootstrap_servers"),
        given.get("file"),
        given.get("values") or (),
    )
    module = (given.get("app") or "").rpartition(":")[0] or given.get("app")
    name = None if not module else module.removesuffix(".py").replace("/", ".").rpartition(".")[2]
    return settings.config(name)
