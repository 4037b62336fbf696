"""Spans of OpenTelemetry around what is done to records that bring a trace. Needs `opentelemetry-api`.

A span stands where records come in: below a source, around all that its nodes do. Its context takes the place of the
one that was read in the record's headers (`traceparent`, or what the process's propagator writes), and headers go where
Kafka Streams sends them: through nodes, caches, buffers and repartition topics to outputs, and into the changelogs of
joins of streams, of subscriptions and of stores that keep headers alone. So no sink knows of traces, and the task
behind a repartition topic goes on with the trace that came to it.

A record without a trace costs a look at its headers; a stretch without any goes on as columns. What brings one is
processed by itself, so that spans of the user's functions lie within its own.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    get_tracer,
    set_span_in_context,
)

from headrace.base.columns import Stretch
from headrace.base.records import Headers
from headrace.base.version import headrace_version
from headrace.base.wording import wording
from headrace.processor.context import TaskContext
from headrace.topology.wiring import Forward, ForwardStretch

__all__ = ["Tracing"]

_Written = list[tuple[str, bytes | None]]


class Tracing:
    """Makes the spans of one task. Provider and propagator are those that the process has when the task starts."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._tracer = get_tracer("headrace", headrace_version())
        self._propagator = get_global_textmap()
        self._fields = frozenset(self._propagator.fields)

    def processing(self, run: Forward) -> Forward:
        """Return what takes a source's records, with a span around each that brings a trace."""

        def traced(key: object, value: object, timestamp: int, headers: Headers) -> None:
            parent = self._brought(headers) if headers else None
            if parent is None:
                run(key, value, timestamp, headers)
                return
            span = self._begun(parent, self._context.offset)
            inner = set_span_in_context(span, parent)
            token = attach(inner)
            try:
                with _ending(span):
                    run(key, value, timestamp, self._replaced(headers, inner))
            finally:
                detach(token)

        return traced

    def processing_stretch(self, run: Forward, together: ForwardStretch, records: int) -> ForwardStretch:
        """Return what takes a source's stretches; `run` takes one record, and `records` are best taken together.

        Where a function is called for many at once, their spans last as long as all of them.
        """

        def traced(stretch: Stretch) -> None:
            if not any(map(self._may_bring, stretch.headers)):
                together(stretch)
            elif records > 1:
                with ExitStack() as spans:
                    together(stretch._replace(headers=list(self._begun_together(stretch, spans))))
            else:
                for key, value, timestamp, headers, self._context.offset in stretch.records():
                    run(key, value, timestamp, headers)

        return traced

    def carrying(self, forward: Forward) -> Forward:
        """Return where a user's processor forwards to: a record that it has made anew carries on the trace."""

        def carried(key: object, value: object, timestamp: int, headers: Headers) -> None:
            given = self._context.headers  # those of the record that the processor was given
            if given and self._may_bring(given) and not self._may_bring(headers):
                headers = (*headers, *(each for each in given if each[0] in self._fields))
            forward(key, value, timestamp, headers)

        return carried

    def failed(self, error: Exception) -> None:
        """Note in the span of the record that is processed what a handler has resumed."""
        if self._context.kept is None:
            _note(get_current_span(), error)

    def _may_bring(self, headers: Headers) -> bool:
        return bool(headers) and any(name in self._fields for name, _ in headers)

    def _brought(self, headers: Headers) -> Context | None:
        """Return the context that a record brings, None where there is no trace in it, or none that can be read."""
        if not self._may_bring(headers):
            return None
        context = self._propagator.extract(headers, Context(), _GETTER)
        return context if get_current_span(context).get_span_context().is_valid else None

    def _begun(self, parent: Context, offset: int) -> Span:
        context = self._context
        return self._tracer.start_span(
            f"process {context.topic}",
            parent,
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.name": context.topic or "",
                "messaging.destination.partition.id": str(context.partition),
                "messaging.kafka.offset": offset,
                "messaging.consumer.group.name": context.application_id,
                "headrace.task": str(context.task_id),
            },
        )

    def _begun_together(self, stretch: Stretch, spans: ExitStack) -> Iterator[Headers]:
        for headers, offset in zip(stretch.headers, stretch.offsets):
            parent = self._brought(headers)
            if parent is None:
                yield headers
                continue
            span = self._begun(parent, offset)
            spans.enter_context(_ending(span))
            yield self._replaced(headers, set_span_in_context(span, parent))

    def _replaced(self, headers: Headers, context: Context) -> Headers:
        written: _Written = [each for each in headers if each[0] not in self._fields]
        self._propagator.inject(written, context, _SETTER)
        return tuple(written)


@contextmanager
def _ending(span: Span) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _note(span, error)
        raise
    finally:
        span.end()


def _note(span: Span, error: Exception) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, wording(error)))


class _OfHeaders(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        # Of several headers of a name the last one counts, as in Kafka.
        found = [value for name, value in carrier if name == key and value is not None]
        return [found[-1].decode("utf-8", "replace")] if found else None

    def keys(self, carrier: Headers) -> list[str]:
        return [name for name, _ in carrier]


class _IntoHeaders(Setter[_Written]):
    def set(self, carrier: _Written, key: str, value: str) -> None:
        carrier.append((key, value.encode()))


_GETTER, _SETTER = _OfHeaders(), _IntoHeaders()
