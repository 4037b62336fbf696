"""Makes one line of two systems' figures, and a table of the lines."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

__all__ = ["HEADRACE", "KAFKA_STREAMS", "Result", "line_of", "table_of"]

HEADRACE, KAFKA_STREAMS = "headrace", "kafka-streams"

#: What a run has printed.
Result: TypeAlias = dict[str, Any]

#: What is told of both, and the digits behind the point.
_FIGURES = {
    "records_per_second": 0,
    "cpu_us_per_record": 2,
    "resident_mb": 1,
    "commit_ms_average": 2,
    "commit_ms_max": 2,
    "startup_seconds": 3,
}


def line_of(said: Mapping[str, object], results: Mapping[str, Sequence[Result]]) -> dict[str, object]:
    """Put the medians of each system's runs side by side, with the ratios where there are two systems."""
    line = dict(said)
    middle: dict[tuple[str, str], float] = {}
    for system, runs in results.items():
        line["records"] = runs[0]["records"]
        for figure, digits in _FIGURES.items():
            value = middle[system, figure] = median(run[figure] for run in runs)
            line[f"{system.replace('-', '_')}_{figure}"] = round(value, digits or None)
        if "codec" in runs[0]:
            line["codec"] = runs[0]["codec"]
    if len(results) > 1:
        line["ratio"] = _ratio(middle, "records_per_second")
        line["cpu_ratio"] = _ratio(middle, "cpu_us_per_record")
    return line


def _ratio(middle: Mapping[tuple[str, str], float], figure: str) -> float:
    ours, theirs = middle[HEADRACE, figure], middle[KAFKA_STREAMS, figure]
    return round(ours / theirs, 2) if theirs else 0.0


def table_of(lines: Sequence[Mapping[str, object]]) -> None:
    """Print the lines for people, to stderr: ours / theirs in each column."""
    table = Table(title="headrace / Kafka Streams", box=None, header_style="bold")
    for name in ("workload", "guarantee", "records", "parts", "bytes"):
        table.add_column(name, justify="left" if name in ("workload", "guarantee") else "right", no_wrap=True)
    for name in ("1000/s", "ratio", "CPU µs", "ratio", "MB", "commit ms", "max", "start s"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            str(line["workload"]),
            str(line["guarantee"]).replace("_v2", ""),
            f"{line['records']:,}",
            str(line["partitions"]),
            str(line["record_bytes"]),
            _both(line, "records_per_second", "{:.0f}", 1000),
            str(line.get("ratio", "")),
            _both(line, "cpu_us_per_record", "{:.1f}"),
            str(line.get("cpu_ratio", "")),
            _both(line, "resident_mb", "{:.0f}"),
            _both(line, "commit_ms_average", "{:.0f}"),
            _both(line, "commit_ms_max", "{:.0f}"),
            _both(line, "startup_seconds", "{:.1f}"),
        )
    Console(stderr=True, width=150).print(table)


def _both(line: Mapping[str, object], figure: str, form: str, divisor: int = 1) -> str:
    found = [line.get(f"{system}_{figure}") for system in ("headrace", "kafka_streams")]
    return " / ".join(
        "–" if not isinstance(value, int | float) else form.format(value / divisor) for value in found
    )
