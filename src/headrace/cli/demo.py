"""`headrace demo`: a year of flights, on the embedded log or on Kafka."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from headrace.base.errors import ConfigError
from headrace.cli.log_output import log_options, log_output_of
from headrace.cli.settings import property_options, settings_of
from headrace.streams.config import Layer

__all__ = ["command"]


@click.command("demo")
@click.option(
    "--path", default=".headrace/demo", show_default=True, metavar="DIRECTORY", help="Where it is kept."
)
@click.option("--flights", "flights_max", type=click.IntRange(min=1), help="Only the first so many flights.")
@click.option(
    "--local-kafka", is_flag=True, help="On a Kafka broker of its own, kept below --path (JDK 17 and Maven)."
)
@property_options
@log_options
def command(path: str, flights_max: int | None, local_kafka: bool, **options: Any) -> None:
    """Run the year of flights: load it, process it, and report.

    On an embedded log below --path, unless --bootstrap-servers names a Kafka cluster. A second run on the same log
    finds everything done.
    """
    log_output = log_output_of(options)
    with log_output.ending():
        log_output.begin()
        _run(path, flights_max, is_on_local_kafka=local_kafka, options=options)


def _run(path: str, flights_max: int | None, *, is_on_local_kafka: bool, options: dict[str, Any]) -> None:
    from headrace.demo.main import run

    settings = settings_of(options)
    if settings.embedded or settings.application_id:
        raise ConfigError("the demo has a log and an application id of its own: say where with --path")
    config = settings.config(None)
    with ExitStack() as running:
        if is_on_local_kafka:
            from headrace.testing.local_kafka.cluster import LocalKafka

            reason = LocalKafka.unavailable()
            if reason is not None:
                raise ConfigError(f"no Kafka can be started here: {reason}")
            click.echo("headrace: starting a Kafka broker", err=True)
            broker = running.enter_context(LocalKafka(directory=Path(path, "kafka")))
            config = config.with_values(broker.client_properties, Layer.FLAG, "flag --local-kafka")
        run(Path(path), config, flights_max=flights_max)
