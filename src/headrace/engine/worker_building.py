"""Builds a worker: from a topology, a log and options to the collaborators that it stores."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from headrace.engine.alignment import alignment_ms
from headrace.engine.assignment import Assignment
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.changelogs import Changelogs
from headrace.engine.clock import Clock
from headrace.engine.commit import Committer
from headrace.engine.commit_round import CommitRound
from headrace.engine.commit_schedule import CommitSchedule
from headrace.engine.fetch import Fetcher
from headrace.engine.global_seats import GlobalSeat
from headrace.engine.instance import Instance
from headrace.engine.options import EngineOptions
from headrace.engine.owned_tasks import OwnedTasks
from headrace.engine.rebalancing import Rebalancing
from headrace.engine.reporting import Reporting
from headrace.engine.retry_wait import RetryWait
from headrace.engine.running import Runner
from headrace.engine.standbys import Standbys
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.status import WorkerStatus
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_picking import Picker
from headrace.engine.task_places import PlannedTasks
from headrace.engine.thread_figures import ThreadFigures
from headrace.engine.topic_preparation import prepare
from headrace.engine.topic_watch import TopicWatch
from headrace.engine.uncommitted import Uncommitted
from headrace.engine.upkeep import Upkeep
from headrace.engine.worker import Worker
from headrace.engine.worker_parts import WorkerParts
from headrace.group.application import GroupApplication
from headrace.log.local_group import LocalGroup, LocalMembership
from headrace.log.membership import Membership
from headrace.log.port import Log, Writer
from headrace.plan.group_application import group_application
from headrace.plan.plan import Plan
from headrace.topology.topology import Topology

__all__ = ["build_worker"]

#: The default of `metadata.max.age.ms`.
_METADATA_AGE_MS = 300_000


def build_worker(
    topology: Topology,
    log: Log,
    options: EngineOptions,
    *,
    application_id: str,
    state_dir: Path | None = None,
    clock: Clock,
    instance: Instance | None = None,
    listeners: StoreListeners | None = None,
    on_status: Callable[[WorkerStatus], None] = lambda status: None,
    partitions: int = 1,
    commit_each_stretch: bool = False,
    reached: Callable[[str], None] = lambda step: None,
    transactional_id: str | None = None,
    transaction_timeout_ms: int | None = None,
    metadata_max_age_ms: int = _METADATA_AGE_MS,
    follows: Worker | None = None,
    stop: threading.Event | None = None,
    join: Callable[[GroupApplication], Membership] | None = None,
    known_as: Callable[[str], None] = lambda member_id: None,
) -> Worker:
    """Make the topics that are missing, join the group, and build a worker, which has no tasks yet.

    It is one of the workers of an `instance`, or the only one, with its state in `state_dir` and `listeners` of its
    own. `on_status` gets each snapshot, in the worker's thread, several times a second. `partitions` is the count for
    user topics that must be made and do not declare one. `commit_each_stretch` commits after every stretch and every
    round of punctuations (test driver). `reached` is told of each step of a commit. `transactional_id` makes commits
    exactly once on a log that also offers less, which aborts a transaction that is open for `transaction_timeout_ms`.
    Topics are looked at every `metadata_max_age_ms`. The worker that this one `follows`, which is closed, hands over
    its figures, and what it knew of the topics. `stop` ends its work, and every wait. `join` makes it a member of a
    group, whose id of it `known_as` is told of; without, it is alone.

    Raises:
        TopologyError: topics that must be co-partitioned are not.
        InternalTopicLostError: a topic that another worker of the instance has made is gone.
        LogError: the log cannot be read or written.
    """
    if instance is not None:
        instance.known_topics.look(log)  # what is missing now is not made again, or it would be taken for new
    resolved, plan = prepare(topology, log, application_id, options, partitions=partitions)
    with ExitStack() as closing:
        # First of all: it ends what an older self has left open, before anybody asks for offsets.
        writer = log.writer(application_id, transactional_id)
        closing.callback(writer.close)
        instance_closing = closing.enter_context(ExitStack())
        if instance is None:
            assert state_dir is not None
            instance = Instance(
                log,
                options,
                application_id=application_id,
                state_dir=state_dir,
                clock=clock,
                listeners=listeners,
            )
            instance_closing.callback(instance.close)
        instance.known_topics.look(log, (topic.name for topic in plan.internal_topics))
        cache = instance.caches.take()
        instance_closing.callback(instance.caches.give_back, cache)
        directory = instance.directory
        factory = TaskFactory(
            topology=resolved,
            log=log,
            options=options,
            application_id=application_id,
            directory=directory,
            clock=clock,
            cache=cache,
            note_letter_topic=instance.letter_topics.note,
            takes_text=writer.takes_text,
        )
        closing.callback(factory.close)
        reporting = (
            Reporting(on_status, ThreadFigures(clock.seconds)) if follows is None else follows.reporting
        )
        fetcher = Fetcher(log.reader(), options.input_buffer_max_bytes, reporting.figures)
        closing.callback(fetcher.close)
        application = group_application(resolved, plan, application_id)
        membership = (
            LocalMembership(LocalGroup(application_id), application) if join is None else join(application)
        )
        closing.callback(membership.close)
        instance.places.planned = PlannedTasks(resolved, plan.partitions)
        known = None if follows is None else follows.topics_read
        global_stores = instance.global_seat(resolved)
        starting = StartingOffsets(log, application_id, clock.wall_ms, known=known)
        parts = _parts(
            plan=plan,
            log=log,
            application_id=application_id,
            options=options,
            clock=clock,
            topology=resolved,
            writer=writer,
            instance=instance,
            close_instance=instance_closing.close,
            global_stores=global_stores,
            factory=factory,
            fetcher=fetcher,
            starting=starting,
            membership=membership,
            known_as=known_as,
            committer=Committer(
                log=log,
                writer=writer,
                collector=factory.collector,
                reader=fetcher.reader,
                starting=starting,
                known_topics=instance.known_topics,
                changelog_name=factory.changelog_name,
                reached=reached,
            ),
            schedule=CommitSchedule(options.commit_interval_ms, transaction_timeout_ms),
            upkeep=Upkeep(
                log,
                directory,
                instance.restoring,
                resolved,
                application_id,
                options.repartition_purge_interval_ms,
            ),
            watch=TopicWatch(
                log,
                topology,
                application_id,
                metadata_max_age_ms,
                known=instance.known_topics,
                read=plan.read,
                written=lambda: {**global_stores.partition_counts(), **factory.known_partition_counts()},
            ),
            reporting=reporting,
            stop=threading.Event() if stop is None else stop,
            commit_each_stretch=commit_each_stretch,
        )
        closing.pop_all()  # from here on the worker closes them
        return Worker(parts)


def _parts(
    *,
    plan: Plan,
    log: Log,
    application_id: str,
    options: EngineOptions,
    clock: Clock,
    topology: Topology,
    writer: Writer,
    instance: Instance,
    close_instance: Callable[[], None],
    global_stores: GlobalSeat,
    factory: TaskFactory,
    fetcher: Fetcher,
    starting: StartingOffsets,
    membership: Membership,
    known_as: Callable[[str], None],
    committer: Committer,
    schedule: CommitSchedule,
    upkeep: Upkeep,
    watch: TopicWatch,
    reporting: Reporting,
    stop: threading.Event,
    commit_each_stretch: bool,
) -> WorkerParts:
    """Put together what has been opened: nothing here asks the log."""
    changelogs = Changelogs(
        log, instance.known_topics, changelog_name=factory.changelog_name, full_name=factory.full_name
    )
    figures = reporting.figures
    changelog_reader = ChangelogReader(
        log, changelogs, clock.wall_ms, clock.seconds, instance.listeners, figures
    )
    standbys = Standbys(
        log, instance.directory, topology, changelogs, application_id, clock, instance.listeners, figures
    )
    uncommitted = Uncommitted(options.statestore_uncommitted_max_bytes)
    retry_wait = RetryWait(stop)
    owned = OwnedTasks(
        factory=factory,
        global_stores=global_stores,
        starting=starting,
        changelog_reader=changelog_reader,
        fetcher=fetcher,
        committer=committer,
        reporting=reporting,
        uncommitted=uncommitted,
    )
    commit_round = CommitRound(
        clock=clock,
        membership=membership,
        owned=owned,
        committer=committer,
        writer=writer,
        global_stores=global_stores,
        fetcher=fetcher,
        uncommitted=uncommitted,
        schedule=schedule,
        figures=figures,
        upkeep=upkeep,
        retry_wait=retry_wait,
        after_each_stretch=commit_each_stretch,
    )
    assignment = Assignment(
        owned=owned,
        commit=commit_round.commit,
        collector=factory.collector,
        directory=instance.directory,
        global_stores=global_stores,
        standbys=standbys,
        starting=starting,
        writer=writer,
        uncommitted=uncommitted,
        retry_wait=retry_wait,
    )
    alignment = alignment_ms(options.task_alignment_ms, topology.stores.values())
    picker = Picker(fetcher, clock, options.max_task_idle_ms, alignment)
    runner = Runner(
        clock,
        picker,
        factory,
        writer,
        uncommitted,
        figures,
        records_max=options.stretch_records_max,
        one_stretch=commit_each_stretch,
    )
    return WorkerParts(
        log=log,
        clock=clock,
        writer=writer,
        directory=instance.directory,
        progress=instance.progress,
        close_instance=close_instance,
        factory=factory,
        global_stores=global_stores,
        changelog_reader=changelog_reader,
        standbys=standbys,
        fetcher=fetcher,
        picker=picker,
        runner=runner,
        owned=owned,
        rebalancing=Rebalancing(
            membership,
            assignment,
            instance.directory.let_go,
            standbys,
            plan.tasks,
            known_as,
            instance.places,
            options.acceptable_recovery_lag,
            figures,
        ),
        assignment=assignment,
        commit_round=commit_round,
        schedule=schedule,
        uncommitted=uncommitted,
        upkeep=upkeep,
        watch=watch,
        reporting=reporting,
        stop=stop,
        poll_ms=options.poll_ms,
    )
