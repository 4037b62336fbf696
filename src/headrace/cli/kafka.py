"""`headrace kafka`: a real Kafka in the foreground, to develop against."""

from pathlib import Path

import click

from headrace.base.errors import ConfigError, LogError
from headrace.streams.signals import StopSignals
from headrace.testing.local_kafka.cluster import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION, are_fetched
from headrace.testing.local_kafka.node import end_of_log

__all__ = ["command"]

_LOOK_SECONDS = 0.5
# A broker that runs for hours is worth the compiler that `LocalKafka` leaves out for its quick start.
_JVM_OPTIONS = ("-XX:TieredStopAtLevel=4",)


@click.command("kafka")
@click.option(
    "--port",
    type=click.IntRange(1, 65000),
    default=9092,
    show_default=True,
    help="Of the first broker; the next ones follow.",
)
@click.option(
    "--version", metavar="NUMBER", default=KAFKA_VERSION, show_default=True, help="Any release from 3.9.0 on."
)
@click.option("--brokers", type=click.IntRange(1, 9), default=1, show_default=True, help="How many.")
@click.option("--dir", "directory", metavar="PATH", help="Keep topics and records there for the next start.")
@click.option(
    "--set", "values", metavar="NAME=VALUE", multiple=True, help="Any property of brokers; may be repeated."
)
def command(port: int, version: str, brokers: int, directory: str | None, values: tuple[str, ...]) -> None:
    """Run Apache Kafka on this machine until Ctrl-C, on 127.0.0.1 only. It needs Java 17 and Maven.

    Without --dir everything is gone when it stops.
    """
    config = _broker_config(values)
    kafka = LocalKafka(
        brokers,
        version=version,
        config=config,
        directory=Path(directory).absolute() if directory else None,
        port=port,
        jvm_options=_JVM_OPTIONS,
    )
    reason = LocalKafka.unavailable(version)
    if reason is not None:
        raise LogError(reason)
    if not are_fetched(version):
        _say(f"fetching Kafka {version} with Maven, once (45 MB)")
    # Before the signals are ours: Ctrl-C then ends Maven too.
    LocalKafka.prepare(version)
    with StopSignals() as signals, kafka:
        address = kafka.bootstrap_servers
        kept = f", kept in {directory}" if directory else ", kept until it stops"
        _say(f"Kafka {version} runs on {address}{kept}")
        _say(f"use it: headrace run MODULE:NAME --bootstrap-servers {address}")
        while not signals.wait(_LOOK_SECONDS):
            for number in range(brokers):
                if kafka.pid(number) is None:
                    raise LogError(f"broker {number} ended by itself: {end_of_log(kafka.logs(number))}")
        _say("stopping")
    _say("stopped")


def _broker_config(values: tuple[str, ...]) -> dict[str, str]:
    config = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r} has no '=': write --set name=value")
        config[name.strip()] = value.strip()
    return config


def _say(line: str) -> None:
    click.echo(f"headrace: {line}", err=True)
