"""What becomes of a trace that a record brings: its spans, and where its context is carried."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, get_tracer, set_tracer_provider

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.embedded import EmbeddedLog
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec
from headrace.testing import TopologyTestDriver
from tests.streams.waiting import until

IN, OUT, OTHER = hr.Topic("in", value=str), hr.Topic("out", value=str), hr.Topic("other", value=str)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ANOTHER = "1bf7651916cd43dd8448eb211c80319c"


def brought(trace: str = TRACE, *, flags: str = "01") -> Headers:
    return (
        ("source", b"web"),
        ("traceparent", f"00-{trace}-{PARENT}-{flags}".encode()),
        ("tracestate", b"a=1"),
    )


def parent_of(headers: Headers) -> tuple[str, str] | None:
    """Trace and span that a record's headers name; None where they name none."""
    found = [value for name, value in headers if name == "traceparent" and value is not None]
    if not found:
        return None
    assert len(found) == 1, "a second header would be another trace"
    _, trace, span, _ = found[0].decode().split("-")
    return trace, span


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """What was exported. OpenTelemetry takes one provider for a process, and no second one."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Callable[[], Sequence[ReadableSpan]]:
    exporter.clear()
    return exporter.get_finished_spans


Spans = Callable[[], Sequence[ReadableSpan]]


def headers_in(log: MemoryLog | EmbeddedLog, topic: str) -> list[Headers]:
    reader = log.reader()
    partitions = [TopicPartition(topic, number) for number in range(log.topics()[topic].partitions)]
    ends = log.end_offsets(partitions)
    reader.assign(dict.fromkeys(partitions, 0))
    found: list[Headers] = []
    while len(found) < sum(ends.values()):
        for chunk in reader.poll(1):
            found.extend([()] * len(chunk) if chunk.headers is None else chunk.headers)
    reader.close()
    return found


def stateless(builder: hr.StreamsBuilder) -> None:
    builder.stream(IN).filter(lambda key, value: True).map_values(str.upper, value=str).to(OUT)


def made_anew(builder: hr.StreamsBuilder) -> None:
    @hr.processor()
    def anew(record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
        yield hr.Record(record.key, record.value, record.timestamp)

    builder.stream(IN).process(anew).to(OUT)


def forwarded(builder: hr.StreamsBuilder) -> None:
    class Sending(hr.Processor[str, str, str, str]):
        def process(self, record: hr.Record[str, str]) -> None:
            self.context.forward(hr.Record(record.key, record.value, record.timestamp, (("mine", b"1"),)))

    builder.stream(IN).process(Sending).to(OUT)


def repartitioned(builder: hr.StreamsBuilder) -> None:
    grouped = builder.stream(IN).group_by(lambda key, value: value, key=str)
    grouped.count(store="counts").to_stream().map_values(str, value=str).to(OUT)


def windowed(builder: hr.StreamsBuilder) -> None:
    windows = builder.stream(IN).group_by_key().windowed_by(hr.TimeWindows("1s", grace="0s"))
    windows.count(store="windows").to_stream(lambda window, count: window.key).map_values(str, value=str).to(
        OUT
    )


def joined_streams(builder: hr.StreamsBuilder) -> None:
    builder.stream(IN).join(
        builder.stream(OTHER), lambda one, two: one + two, within=hr.JoinWindows("1m", grace="0s"), value=str
    ).to(OUT)


def joined_tables(builder: hr.StreamsBuilder) -> None:
    builder.table(IN).join(builder.table(OTHER), lambda one, two: one + two, value=str).to_stream().to(OUT)


def joined_by_foreign_key(builder: hr.StreamsBuilder) -> None:
    builder.table(IN).join(
        builder.table(OTHER), lambda one, two: one + two, on=lambda value: "k", value=str
    ).to_stream().to(OUT)


def joined_with_global(builder: hr.StreamsBuilder) -> None:
    builder.stream(IN).join(
        builder.global_table(OTHER, store="all"),
        lambda one, two: one + two,
        on=lambda key, value: key,
        value=str,
    ).to(OUT)


def mapped_together(builder: hr.StreamsBuilder) -> None:
    builder.stream(IN).map_values_batch(lambda values: [each.upper() for each in values], value=str).to(OUT)


@pytest.mark.parametrize(
    "describe",
    [
        stateless,
        made_anew,
        forwarded,
        repartitioned,
        windowed,
        joined_streams,
        joined_tables,
        joined_by_foreign_key,
        joined_with_global,
        mapped_together,
    ],
    ids=lambda describe: describe.__name__,
)
def test_the_result_of_a_record_is_of_its_trace(
    describe: Callable[[hr.StreamsBuilder], None], spans: Spans
) -> None:
    builder = hr.StreamsBuilder()
    describe(builder)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        if any("other" in sub.source_topics for sub in driver._topology.subtopologies):
            driver.input(OTHER).pipe("k", "other", timestamp=0)
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        (headers,) = [record.headers for record in driver.output(OUT).read_all()]
        internal = {name for name in driver.log.topics() if name.startswith("test-")}
        changelogs = {name for name in internal if name.endswith("-changelog")}
        on_the_way = [h for name in internal - changelogs for h in headers_in(driver.log, name)]
        logged = [h for name in changelogs for h in headers_in(driver.log, name)]
    made = spans()
    # One after another, behind each internal topic one more: the first is below the producer's span.
    assert [parent_of(headers)] == [ids(made[-1])]
    assert {ids(span)[0] for span in made} == {TRACE}
    assert [f"{span.parent.span_id:016x}" for span in made if span.parent is not None] == [
        PARENT,
        *(ids(span)[1] for span in made[:-1]),
    ]
    assert {parent_of(each) for each in on_the_way} == {ids(span) for span in made[:-1]}
    # As any header in Kafka Streams: of all changelogs here, those of a join's windows and subscriptions alone have it.
    has_headers: dict[object, list[tuple[str, str]]] = {
        joined_streams: [ids(made[0])],
        joined_by_foreign_key: [ids(span) for span in made[1:2]],
    }
    assert [parent_of(each) for each in logged if each] == has_headers.get(describe, [])


def test_what_goes_with_the_trace_and_what_does_not_stays(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    stateless(builder)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        (record,) = driver.output(OUT).read_all()
    assert dict(record.headers) == {
        "source": b"web",
        "traceparent": f"00-{TRACE}-{ids(spans()[0])[1]}-01".encode(),
        "tracestate": b"a=1",
    }


def test_a_span_says_what_was_processed_and_where(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    stateless(builder)
    with TopologyTestDriver(builder.build(), application_id="shop", tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0)
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
    (span,) = spans()
    assert (span.name, span.kind) == ("process in", SpanKind.CONSUMER)
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "in",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 1,
        "messaging.consumer.group.name": "shop",
        "headrace.task": "0_0",
    }


@pytest.mark.parametrize(
    "traceparent", [None, b"", b"00-0-0-01", b"\xff"], ids=["none", "empty", "wrong", "no text"]
)
def test_a_record_without_a_trace_has_no_span_and_stays_as_it_is(
    traceparent: bytes | None, spans: Spans
) -> None:
    headers: Headers = () if traceparent is None else (("traceparent", traceparent),)
    builder = hr.StreamsBuilder()
    stateless(builder)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=headers)
        (record,) = driver.output(OUT).read_all()
    assert (record.headers, spans()) == (headers, ())


def test_a_trace_that_is_not_sampled_goes_on_so(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    stateless(builder)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought(flags="00"))
        (record,) = driver.output(OUT).read_all()
    traceparent = dict(record.headers)["traceparent"] or b""
    assert (traceparent[3:35].decode(), traceparent[-3:]) == (TRACE, b"-00")
    assert spans() == ()


def test_without_the_property_headers_go_as_in_kafka_streams(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    stateless(builder)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        (record,) = driver.output(OUT).read_all()
    assert (record.headers, spans()) == (brought(), ())


def test_what_a_punctuation_makes_is_of_no_trace(spans: Spans) -> None:
    class Ticking(hr.Processor[str, str, str, str]):
        def init(self) -> None:
            self.context.schedule("1s", self.tick, on="wall")

        def tick(self, now: int) -> None:
            self.context.forward(hr.Record("tick", "t", now))

        def process(self, record: hr.Record[str, str]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(Ticking).to(OUT)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        driver.advance("1s")
        (record,) = driver.output(OUT).read_all()
    assert record.headers == ()


def test_what_suppression_lets_go_is_of_the_trace_that_made_it(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    windows = builder.stream(IN).group_by_key().windowed_by(hr.TimeWindows("1s", grace="0s"))
    counted = windows.count(store="windows").suppress(hr.until_window_closes())
    counted.to_stream(lambda window, count: window.key).map_values(str, value=str).to(OUT)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        driver.input(IN).pipe("k", "v", timestamp=5000, headers=brought(ANOTHER))
        (record,) = driver.output(OUT).read_all()
    assert parent_of(record.headers) == ids(spans()[0])


def test_what_leaves_when_a_window_closes_is_of_the_record_that_closed_it(spans: Spans) -> None:
    # As its headers are that record's in Kafka Streams.
    builder = hr.StreamsBuilder()
    windows = builder.stream(IN).group_by_key().windowed_by(hr.TimeWindows("1s", grace="0s"), emit="close")
    counted = windows.count(store="windows").to_stream(lambda window, count: window.key)
    counted.map_values(str, value=str).to(OUT)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        driver.input(IN).pipe("k", "v", timestamp=5000, headers=brought(ANOTHER))
        (record,) = driver.output(OUT).read_all()
    assert parent_of(record.headers) == ids(spans()[1])


def test_a_record_that_waits_for_others_leaves_with_its_own_trace(spans: Spans) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(IN).resequence("timestamp", within="5s").to(OUT)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        driver.input(IN).pipe("k", "later", timestamp=2, headers=brought())
        driver.input(IN).pipe("k", "earlier", timestamp=1)
        driver.input(IN).pipe("k", "end", timestamp=20_000, headers=brought(ANOTHER))
        found = driver.output(OUT).read_all()
    assert [(record.value, parent_of(record.headers)) for record in found[:2]] == [
        ("earlier", None),
        ("later", ids(spans()[0])),
    ]


def test_a_dead_letter_is_of_the_trace_and_its_span_has_the_failure(spans: Spans) -> None:
    def fail(value: str) -> str:
        raise ValueError(f"{value} is odd")

    builder = hr.StreamsBuilder()
    builder.stream(IN).map_values(fail, value=str).to(OUT)
    letters = hr.Topic("letters", value=str)
    with TopologyTestDriver(
        builder.build(),
        tracing_enabled=True,
        processing_exception_handler=lambda failure: hr.Reaction.dead_letter("letters"),
    ) as driver:
        driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        (letter,) = driver.output(letters).read_all()
    (span,) = spans()
    assert parent_of(letter.headers) == (
        TRACE,
        PARENT,
    )  # the record as it was read: a replay brings it back so
    assert (ids(span)[0], span.status.status_code) == (TRACE, StatusCode.ERROR)
    assert [(event.attributes or {})["exception.message"] for event in span.events] == ["v is odd"]


def test_a_failure_that_ends_the_application_ends_the_span(spans: Spans) -> None:
    def fail(value: str) -> str:
        raise ValueError(f"{value} is odd")

    builder = hr.StreamsBuilder()
    builder.stream(IN).map_values(fail, value=str).to(OUT)
    with TopologyTestDriver(builder.build(), tracing_enabled=True) as driver:
        with pytest.raises(hr.ProcessingError, match="v is odd"):
            driver.input(IN).pipe("k", "v", timestamp=0, headers=brought())
        assert not get_current_span().get_span_context().is_valid
    assert [span.status.status_code for span in spans()] == [StatusCode.ERROR]


# ── on a log, where stretches run ────────────────────────────────────────────────────────────────────────────────────


def write(path: Path, topic: str, rows: Sequence[tuple[str, str, Headers]]) -> None:
    log = EmbeddedLog.open(path)
    if topic not in log.topics():
        log.create_topics([TopicSpec(topic, 1)])
    writer, columns = log.writer("test"), Columns()
    for number, (key, value, headers) in enumerate(rows):
        columns.append(key.encode(), value.encode(), number, headers)
    writer.append(topic, 0, columns)
    writer.commit({})
    writer.close()
    log.close()


def run_until(
    folder: Path, name: str, builder: hr.StreamsBuilder, count: int, topic: str, **more: Any
) -> list[Headers]:
    """Run an application until a topic has so many records; return their headers."""
    log = EmbeddedLog.open(folder / "log.db")
    with hr.Streams(
        builder.build(),
        application_id=name,
        embedded_path=str(folder / "log.db"),
        state_dir=str(folder / name),
        commit_interval_ms=20,
        tracing_enabled=True,
        **more,
    ):
        first = TopicPartition(topic, 0)
        until(lambda: topic in log.topics() and log.end_offsets([first])[first] >= count)
    found = headers_in(log, topic)
    log.close()
    return found


def test_a_trace_goes_through_two_applications_and_a_repartition(tmp_path: Path, spans: Spans) -> None:
    write(tmp_path / "log.db", "in", [("k", "v", brought())])
    counting, writing = hr.StreamsBuilder(), hr.StreamsBuilder()
    repartitioned(counting)
    writing.stream(OUT).map_values(str.upper, value=str).to(OTHER)
    run_until(tmp_path, "counting", counting, 1, "out")
    (headers,) = run_until(tmp_path, "writing", writing, 1, "other")
    made = spans()
    assert [span.name for span in made] == [
        "process in",
        "process counting-counts-repartition",
        "process out",
    ]
    assert [ids(span)[0] for span in made] == [TRACE] * 3
    assert [f"{span.parent.span_id:016x}" for span in made if span.parent is not None] == [
        PARENT,
        ids(made[0])[1],
        ids(made[1])[1],
    ]
    assert parent_of(headers) == ids(made[2])
    log = EmbeddedLog.open(tmp_path / "log.db")
    assert headers_in(log, "counting-counts-changelog") == [()]
    log.close()


def test_spans_of_functions_lie_within_that_of_their_record(tmp_path: Path, spans: Spans) -> None:
    def look(key: str, value: str) -> None:
        with get_tracer("test").start_as_current_span(value):
            pass

    rows = [(f"k{n}", f"v{n}", brought() if n % 2 else ()) for n in range(6)]
    write(tmp_path / "log.db", "in", rows)
    builder = hr.StreamsBuilder()
    builder.stream(IN).peek(look).to(OUT)
    found = run_until(tmp_path, "peeking", builder, 6, "out")
    own = {span.name: span for span in spans() if not span.name.startswith("process")}
    around = [span for span in spans() if span.name.startswith("process")]
    assert [(span.attributes or {})["messaging.kafka.offset"] for span in around] == [1, 3, 5]
    assert [parent_of(each) for each in found] == [None, *(x for s in around for x in (ids(s), None))][:6]
    for number in range(6):
        inner = own[f"v{number}"]
        if number % 2:
            assert inner.parent is not None
            assert f"{inner.parent.span_id:016x}" == ids(around[number // 2])[1]
        else:
            assert inner.parent is None


def test_records_that_are_mapped_together_stay_together(tmp_path: Path, spans: Spans) -> None:
    sizes: list[int] = []

    def upper(values: list[str]) -> list[str]:
        sizes.append(len(values))
        return [each.upper() for each in values]

    rows = [(f"k{n}", f"v{n}", brought() if n == 1 else ()) for n in range(6)]
    write(tmp_path / "log.db", "in", rows)
    builder = hr.StreamsBuilder()
    builder.stream(IN).map_values_batch(upper, value=str).to(OUT)
    found = run_until(tmp_path, "mapping", builder, 6, "out")
    (span,) = spans()
    assert sizes == [6]
    assert (span.attributes or {})["messaging.kafka.offset"] == 1
    assert [parent_of(each) for each in found] == [None, ids(span), None, None, None, None]


def test_a_cache_lets_go_with_the_trace_of_the_last_update(tmp_path: Path, spans: Spans) -> None:
    write(
        tmp_path / "log.db",
        "in",
        [("a", "v", brought()), ("b", "v", ()), ("a", "v", brought(ANOTHER)), ("b", "v", ())],
    )
    builder = hr.StreamsBuilder()
    counts = builder.stream(IN).group_by_key().count(store=stores.key_value("counts", key=str, value=int))
    counts.to_stream().map_values(str, value=str).to(OUT)
    found = run_until(tmp_path, "counting", builder, 2, "out")
    assert [parent_of(each) for each in found] == [ids(spans()[1]), None]
    assert ids(spans()[1])[0] == ANOTHER


def test_without_opentelemetry_the_property_is_refused_with_what_to_install() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; "
    program += "import headrace as hr; hr.Config(tracing_enabled=False); hr.Config(tracing_enabled=True)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1].endswith(
        "ConfigError: tracing.enabled is True, but opentelemetry-api is not installed: pip install 'headrace[otel]'"
    )
