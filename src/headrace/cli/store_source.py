"""A store of an application as `headrace stores` sees it: the changelog, and how its rows stand on a line."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace.base.errors import StoreUnavailableError
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.cli.lines import shown_headers
from headrace.log.port import Log
from headrace.query.changelog import (
    changelog_of,
    held_rows,
    key_value_rows,
    partitions_of,
    read_rows,
    span_rows,
)
from headrace.query.formats import AUTO, FORMATS, Format, format_of
from headrace.query.local import store_name
from headrace.state.spec import StoreSpec
from headrace.topology.topology import Topology

__all__ = ["StoreSource", "open_store"]


@dataclass(frozen=True, slots=True)
class StoreSource:
    """A store that can be read. `spec` is None where no application was named: rows are keys and values then."""

    log: Log
    partitions: Sequence[TopicPartition]
    spec: StoreSpec | None
    key: Format
    value: Format
    #: Where the store is a table on its own source topic: the group whose committed offsets say how far it is.
    group: str | None

    def lines(
        self,
        partition: TopicPartition,
        *,
        first: bytes | None = None,
        last: bytes | None = None,
        start: int | None = None,
    ) -> Iterator[dict[str, object]]:
        """Yield the rows of a partition from key `first` to `last` (bytes, both included).

        Of windows and sessions, those that start at `start` (epoch ms).
        """
        rows = read_rows(self.log, partition, group=self.group)
        show_key, show_value = self.key.show, self.value.show
        if self.spec is not None and self.spec.retention_ms is not None:
            for span in span_rows(rows, self.spec):
                if _within(span.key, first, last) and start in (None, span.start):
                    yield {
                        "key": show_key(span.key),
                        "start": span.start,
                        "end": span.end,
                        "value": show_value(span.value),
                        **self._headers(span.headers),
                    }
            return
        if self.spec is not None and self.spec.kind == "suppress":
            for held in held_rows(rows):
                if _within(held.key, first, last):
                    value = None if held.new is None else show_value(held.new)
                    yield {
                        "key": show_key(held.key),
                        "value": value,
                        "timestamp": held.timestamp,
                        "until": held.time,
                        "headers": shown_headers(held.headers),
                    }
            return
        for row in key_value_rows(rows):
            if _within(row.key, first, last):
                yield {
                    "key": show_key(row.key),
                    "value": show_value(row.value),
                    "timestamp": row.timestamp,
                    **self._headers(row.headers),
                }

    def _headers(self, headers: Headers) -> dict[str, object]:
        """What a line says of headers: those that the store keeps, or may keep, where nothing but its topic tells."""
        tells_not = self.spec is None or self.spec.kind == "custom"
        if (tells_not and headers) or (self.spec is not None and self.spec.stamped):
            return {"headers": shown_headers(headers)}
        return {}

    def close(self) -> None:
        """Close the log."""
        self.log.close()


def _within(key: bytes, first: bytes | None, last: bytes | None) -> bool:
    return (first is None or key >= first) and (last is None or key <= last)


def open_store(
    log: Log, store: str, application_id: str, topology: Topology | None, key: str | None, value: str | None
) -> StoreSource:
    """Find a store's changelog and formats. `key` and `value` name formats that win over declared ones.

    Raises:
        TopologyError: the application has no such store.
        StoreUnavailableError: it has no changelog, or has not run on this log.
    """
    spec: StoreSpec | None = None
    group = None
    if topology is None:
        topic = f"{application_id}-{store}-changelog"
        _check_known(log, store, application_id)
        formats = (AUTO, AUTO)
    else:
        spec = topology.stores[store_name(topology, store)]
        topic = changelog_of(spec, application_id)
        if spec.source_topic is not None and spec.global_topic is None:
            topic, group = topology.decorate(topic, application_id), application_id
        formats = (format_of(spec.key, topic), format_of(spec.value, topic))
    return StoreSource(
        log,
        partitions_of(log, topic),
        spec,
        FORMATS[key] if key else formats[0],
        FORMATS[value] if value else formats[1],
        group,
    )


def _check_known(log: Log, store: str, application_id: str) -> None:
    prefix, suffix = f"{application_id}-", "-changelog"
    stores = [
        topic[len(prefix) : -len(suffix)]
        for topic in log.topics()
        if topic.startswith(prefix) and topic.endswith(suffix)
    ]
    if store not in stores:
        near = difflib.get_close_matches(store, stores, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(stores)) or 'none'}"
        raise StoreUnavailableError(
            f"application {application_id!r} has no changelog of a store {store!r}; {hint}"
        )
