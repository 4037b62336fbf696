"""Pages that are made of the code when the site is made: docs/reference, and the table of Kafka Streams' names."""

from pathlib import Path

from docs.made import api, command_line, configuration, errors, kafka_streams

__all__ = ["write_pages"]


def write_pages(into: Path) -> None:
    """Write every page that is made of the code, where it differs from what is there: Sphinx reads again what is new."""
    pages = {
        **api.pages(),
        "configuration.md": configuration.page(),
        "errors.md": errors.page(),
        "command-line.md": command_line.page(),
        "kafka-streams.md": kafka_streams.page(),
    }
    into.mkdir(exist_ok=True)
    for left in {file.name for file in into.glob("*.md")} - pages.keys():
        (into / left).unlink()
    for name, text in pages.items():
        file = into / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
