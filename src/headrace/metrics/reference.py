"""The reference of all metrics, as a page: `python -m headrace.metrics.reference > docs/metrics.md`."""

from collections.abc import Iterable, Sequence

from headrace.metrics.absent import ABSENT
from headrace.metrics.catalogue import CATALOGUE
from headrace.metrics.declaration import Declaration
from headrace.metrics.naming import is_exported, prometheus_name

__all__ = ["reference"]

_INTRODUCTION = """\
# Metrics

Names, groups and tags are those of Kafka Streams 4.4; *own* marks what it does not have. `Streams.metrics()` returns
them from any thread, `headrace.metrics.prometheus` and `headrace.metrics.otel` let them out of the process, and
`headrace metrics list` prints this table, `dashboard` a dashboard for Grafana, `alerts` rules for Prometheus.

- **Level**: `metrics.recording.level` is `INFO` unless it is set. A deeper level has what those before it have. At
  `DEBUG` each call of a node and of a store is timed, and records go one by one: that is for looking, not for every
  day. A metric that is not recorded is not there; Kafka Streams lists it without a value.
- **Averages, maxima and rates** are those of the last minute, of 30 s at least. Where nothing was recorded then there
  is no value (NaN), and no series outside.
- **Totals** begin with the thread, or the task where it runs: a task that moves begins anew.
- **Tags** are labels in Prometheus and attributes in OpenTelemetry, with `_` for `-`. Each series also has
  `application_id`. The tag that names a store says what it is, as in `rocksdb-window-state-id`; outside, that is
  `state_id` and `store_type`.
- **OpenTelemetry** has the names of KIP-714: `org.apache.kafka.stream.thread.process.total`.

This page is made of the catalogue in `src/headrace/metrics`: `python -m headrace.metrics.reference > docs/metrics.md`.
"""

_ABSENT = """\
## Of Kafka Streams, and not here

| group | names | why |
| --- | --- | --- |
"""


def reference() -> str:
    """Return the page, in Markdown."""
    groups: dict[str, list[Declaration]] = {}
    for each in CATALOGUE:
        groups.setdefault(each.group, []).append(each)
    parts = [_INTRODUCTION]
    for group, declared in groups.items():
        tags: dict[tuple[str, ...], list[Declaration]] = {}
        for each in declared:
            tags.setdefault(each.tags, []).append(each)
        parts.append(f"\n## {group}\n")
        parts += [_table(names, of) for names, of in tags.items()]
    parts.append("\n" + _ABSENT)
    parts += [f"| {_code(each.group)} | {_code(each.name)} | {each.reason} |\n" for each in ABSENT]
    return "".join(parts)


def _table(tags: Sequence[str], declared: Iterable[Declaration]) -> str:
    lines = [
        f"\nTags: {', '.join(map(_code, tags))}.\n\n",
        "| name | in Prometheus | level | unit | |\n| --- | --- | --- | --- | --- |\n",
    ]
    for each in declared:
        outside = _code(prometheus_name(each)) if is_exported(each) else "–"
        own = " *Own.*" if each.is_own else ""
        lines.append(
            f"| {_code(each.name)} | {outside} | {each.level.name} | {each.unit or '–'} | {each.text}{own} |\n"
        )
    return "".join(lines)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    print(reference(), end="")
