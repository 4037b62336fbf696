"""`headrace dlq`: what has failed and was put aside; replayed once it can be processed, or dropped."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import click
import msgspec

from headrace.base.errors import LogError
from headrace.base.file_lock import FileLock
from headrace.base.ids import TopicPartition
from headrace.cli.dlq_filters import filter_of, filter_options
from headrace.cli.dlq_topics import all_opened, one_opened
from headrace.cli.lines import shown_headers
from headrace.cli.opening import Subject, look_options, subject_of
from headrace.cli.serdes import format_options, topic_formats
from headrace.cli.settings import looked_at
from headrace.cli.wording import table
from headrace.log.port import Log, TopicInfo
from headrace.outside.dead_letters import DeadLetter, LetterFilter, read_letters
from headrace.outside.ledger import Handled, Ledger
from headrace.outside.replay import Outcome, handle_letters, judged
from headrace.query.formats import Format
from headrace.streams.logs import address_of

__all__ = ["command"]

_encode = msgspec.json.Encoder().encode


@click.group("dlq")
def command() -> None:
    """Look at dead letters, put their records back to where they came from, or drop them."""


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#: Of dead letters: the topic in which they lie, the reason, the node, and where the records came from.
_Group: TypeAlias = tuple[str, str, str, str]


@dataclass
class _Sum:
    count: int = 0
    handled: Counter[Handled] = field(default_factory=Counter[Handled])
    first: int | None = None
    last: int = -1

    def add(self, letter: DeadLetter, handled: Handled | None) -> None:
        self.count += 1
        if handled is not None:
            self.handled[handled] += 1
        self.first = letter.timestamp if self.first is None else min(self.first, letter.timestamp)
        self.last = max(self.last, letter.timestamp)


@command.command("list")
@click.argument("topic", required=False)
@filter_options
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@look_options
def list_letters(topic: str | None, as_json: bool, **options: Any) -> None:
    """Count the dead letters of TOPIC by reason, node and the topic that the records came from.

    Without TOPIC: those of errors.dead.letter.queue.topic.name, and of the topics that handlers have named, which are
    known where the application's state directory is. Times are those of the records.
    """
    wanted = filter_of(options)
    sums: dict[_Group, _Sum] = {}
    gone: Counter[Handled] = Counter()
    with all_opened(subject_of(options), topic) as (log, topics):
        for info in topics:
            ledger = Ledger(info)
            ledger.read(log)
            gone += ledger.counts
            for letter in read_letters(log, info.name, info.partitions, wanted):
                origin = "" if letter.origin is None else letter.origin.topic
                group = (info.name, letter.reason, letter.node_name, origin)
                sums.setdefault(group, _Sum()).add(letter, ledger.done(letter))
    ordered = sorted(sums.items(), key=lambda each: (-each[1].count, each[0]))
    if as_json:
        for (lies_in, reason, node, origin), found in ordered:
            row = {
                "dead_letters": lies_in,
                "reason": reason,
                "node": node or None,
                "topic": origin or None,
                "count": found.count,
                "replayed": found.handled["replayed"],
                "dropped": found.handled["dropped"],
                "first": found.first,
                "last": found.last,
            }
            click.echo(_encode(row).decode())
        return
    names = [info.name for info in topics]
    if not ordered:
        click.echo(
            f"there are no dead letters in {', '.join(names)}"
            + (" of that kind" * (wanted != LetterFilter()))
        )
    else:
        _show_sums(ordered, names)
    if wanted == LetterFilter():
        for _, found in ordered:
            gone -= found.handled
        if gone:
            click.echo(
                f"deleted by now: {gone['replayed']} that were replayed, {gone['dropped']} that were dropped"
            )


def _show_sums(ordered: Sequence[tuple[_Group, _Sum]], names: Sequence[str]) -> None:
    rows = [
        (
            found.count - found.handled.total(),
            found.handled["replayed"],
            found.handled["dropped"],
            reason or "-",
            node or "-",
            origin or "-",
            _moment(found.first or 0),
            _moment(found.last),
            *([lies_in] if len(names) > 1 else ()),
        )
        for (lies_in, reason, node, origin), found in ordered
    ]
    heads = ("open", "replayed", "dropped", "reason", "node", "from", "first", "last")
    click.echo(table((*heads, "dead letters in") if len(names) > 1 else heads, rows))


def _moment(timestamp: int) -> str:
    try:
        return datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(timestamp)


@command.command("show")
@click.argument("topic", required=False)
@filter_options
@click.option("--all", "with_handled", is_flag=True, help="Also those that were replayed or dropped.")
@click.option("--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Most dead letters.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@format_options
@look_options
def show(
    topic: str | None,
    with_handled: bool,
    limit: int,
    as_json: bool,
    key_format: str | None,
    value_format: str | None,
    **options: Any,
) -> None:
    """Show dead letters: the record with key and value, where it came from, and the traceback.

    Keys and values are shown as --app declares them for the topic that they came from, where they can be read.
    """
    wanted = filter_of(options)
    subject = subject_of(options)
    topology = None if subject.target is None else subject.target.topology
    with all_opened(subject, topic) as (log, topics):
        left = limit
        for info in topics:
            ledger = Ledger(info)
            ledger.read(log)
            for letter in read_letters(log, info.name, info.partitions, wanted) if left else ():
                if ledger.done(letter) is not None and not with_handled:
                    continue
                origin = "" if letter.origin is None else letter.origin.topic
                formats = topic_formats(origin, subject.application_id, topology, key_format, value_format)
                row = _row(letter, ledger.done(letter), *formats)
                click.echo(_encode(row).decode() if as_json else _text(row))
                left -= 1
                if left == 0:
                    break


def _row(letter: DeadLetter, handled: Handled | None, key: Format, value: Format) -> dict[str, Any]:
    return {
        "dead_letters": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.offset,
        "state": handled or "open",
        "reason": letter.reason,
        "message": letter.message,
        "node": letter.node or None,
        "stage": letter.stage or None,
        "from": None if letter.origin is None else [*letter.origin, letter.origin_offset],
        "timestamp": letter.timestamp,
        "key": None if letter.key is None else key.shown(letter.key, letter.headers),
        "value": None if letter.value is None else value.shown(letter.value, letter.headers),
        "headers": shown_headers(letter.headers),
        "traceback": letter.traceback,
    }


def _text(row: dict[str, Any]) -> str:
    origin = row["from"]
    came = "no record" if origin is None else f"{origin[0]}, partition {origin[1]}, offset {origin[2]}"
    lines = [
        f"dead letter {row['dead_letters']} {row['partition']}:{row['offset']} ({row['state']}), "
        f"of {_moment(row['timestamp'])}",
        f"  failed:  {row['node'] or 'in a node that is not told'}"
        + (f", to {row['stage']}" if row["stage"] else ""),
        f"  by:      {row['reason']}: {row['message']}",
        f"  from:    {came}",
        f"  key:     {_encode(row['key']).decode()}",
        f"  value:   {_encode(row['value']).decode()}",
    ]
    if row["headers"]:
        lines.append(f"  headers: {_encode(row['headers']).decode()}")
    return "\n".join([*lines, *(f"  | {line}" for line in row["traceback"].splitlines()), ""])


# ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_BATCH = click.option(
    "--batch", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Records a transaction."
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@command.command("replay")
@click.argument("topic", required=False)
@filter_options
@_DRY_RUN
@_BATCH
@click.option(
    "--to-compacted",
    is_flag=True,
    help="Also to compacted topics, where a record takes the place of a later one of its key.",
)
@look_options
def replay(topic: str | None, dry_run: bool, batch: int, to_compacted: bool, **options: Any) -> None:
    """Write the records of dead letters back to the topics and partitions that they came from, as they were read.

    Each goes back once, whatever is killed in between, however often this is run, and however many dead letters are of
    one record: what was done stands in the topic TOPIC-handled. All branches see it again. An application that fails on
    one again writes another dead letter.
    """
    _handle(topic, options, "replayed", dry_run=dry_run, batch=batch, to_compacted=to_compacted)


@command.command("drop")
@click.argument("topic", required=False)
@filter_options
@_DRY_RUN
@_BATCH
@click.option("--yes", is_flag=True, help="Without a question.")
@look_options
def drop(topic: str | None, dry_run: bool, batch: int, yes: bool, **options: Any) -> None:
    """Give dead letters up: they are not shown and not replayed any more.

    Where nothing is open up to some offset, what lies below it is deleted.
    """
    _handle(topic, options, "dropped", dry_run=dry_run, batch=batch, asks=not yes)


def _handle(
    topic: str | None,
    options: dict[str, Any],
    done: Handled,
    *,
    dry_run: bool,
    batch: int,
    to_compacted: bool = False,
    asks: bool = False,
) -> None:
    wanted = filter_of(options)
    subject = subject_of(options)
    with one_opened(subject, topic) as (log, info):
        if asks:  # what fails after it was counted was not asked about
            places = [TopicPartition(info.name, number) for number in range(info.partitions)]
            wanted = replace(wanted, ends=log.end_offsets(places))
        if dry_run or asks:
            outcome = _foreseen(log, info, wanted, done, to_compacted=to_compacted)
        if asks and not dry_run and (count := outcome.written.total()):
            letters = "1 dead letter" if count == 1 else f"{count:,} dead letters"
            click.confirm(f"drop {letters} of topic '{info.name}'?", abort=True, err=True)
        if not dry_run:
            with _alone(subject, info.name):
                outcome = handle_letters(
                    log,
                    info,
                    wanted,
                    done,
                    batch_records=batch,
                    to_compacted=to_compacted,
                    tell=lambda count: click.echo(f"{done} {count}"),
                )
                if done == "dropped":
                    log.delete_records(_below_open(log, info))
    _show_outcome(outcome, done, dry_run=dry_run)
    if outcome.left and not dry_run:
        click.get_current_context().exit(1)


def _foreseen(
    log: Log, info: TopicInfo, wanted: LetterFilter, done: Handled, *, to_compacted: bool
) -> Outcome:
    """Return what would be done now."""
    ledger, outcome = Ledger(info), Outcome()
    ledger.read(log)
    for handling in judged(
        log, info, wanted, done, ledger=ledger, outcome=outcome, to_compacted=to_compacted
    ):
        outcome.add(handling)
    return outcome


def _show_outcome(outcome: Outcome, done: Handled, *, dry_run: bool) -> None:
    verb = f"would be {done}" if dry_run else done
    for place, count in sorted(outcome.written.items()):
        click.echo(f"{verb}: {count} {'to' if done == 'replayed' else 'of'} {place.in_words()}")
    if not outcome.written:
        click.echo(f"nothing {'would be' if dry_run else 'was'} {done}")
    if outcome.same:
        went = "would go" if dry_run else "went"
        click.echo(f"dead letters of records that {went} back with another one: {outcome.same}")
    if outcome.handled_before:
        click.echo(f"{outcome.handled_before} were replayed or dropped before")
    for reason, count in sorted(outcome.left.items()):
        click.echo(f"{'would be ' * dry_run}left: {count}, since {reason}", err=True)


def _below_open(log: Log, info: TopicInfo) -> dict[TopicPartition, int]:
    """Return the offset in each partition below which all is done."""
    ledger = Ledger(info)
    ledger.read(log)
    found = dict(log.end_offsets([TopicPartition(info.name, number) for number in range(info.partitions)]))
    for letter in read_letters(log, info.name, info.partitions, LetterFilter()):
        if ledger.done(letter) is None:
            found[letter.place] = min(found[letter.place], letter.offset)
    return found


@contextmanager
def _alone(subject: Subject, topic: str) -> Iterator[None]:
    """Keep others from handling the same dead letters on an embedded log; on a cluster a transactional id does that."""
    path = address_of(looked_at(subject.config)).path
    if path is None:
        yield
        return
    lock = FileLock(path.with_name(f"{path.name}.{topic}-lock"))
    try:
        try:
            lock.open()
            is_locked = lock.lock()
        except OSError as error:
            raise LogError(f"cannot lock {lock.file}: {error.strerror or error}") from None
        if not is_locked:
            raise LogError(
                f"the dead letters of {topic} are being replayed or dropped: wait until that has ended"
            )
        yield
    finally:
        lock.release()
