"""Global stores against a plain model: whatever is written, committed, lost or tried again, and in any order."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import headrace as hr
from headrace import stores
from headrace.base.ids import TopicPartition
from headrace.log.port import TopicSpec
from headrace.stores import KeyValueStore
from tests.budget import examples
from tests.engine.bench import Bench, eight

pytestmark = pytest.mark.campaign

KEPT = stores.key_value("kept", key=str, value=int)
COUNTED = stores.key_value("counted", key=str, value=int)
KEYS = [f"k{number}" for number in range(6)]

#: A value on which the processor fails, which a handler lets it try again until nothing is left to fail.
BAD = 13


class GlobalStores(RuleBasedStateMachine):
    """Rows are the last value of each key; counts tell whether a record was taken twice, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.rows: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.failures_left = 0
        self.app: Bench | None = None

    def topology(self) -> hr.Topology:
        @hr.processor(COUNTED)
        def count(record: hr.Record[str, int], counted: KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
            counted.put(record.key, (counted.get(record.key) or 0) + 1)
            if record.value == BAD and self.failures_left:
                self.failures_left -= 1
                raise ValueError("bad")
            return []

        builder = hr.StreamsBuilder()
        builder.global_table("rows", key=str, value=int, store=KEPT)
        builder.add_global_store(COUNTED, hr.Topic("events", key=str, value=int), count)
        return builder.build()

    @initialize(compacts=st.booleans())
    def start(self, compacts: bool) -> None:
        self.app = Bench(
            self.topology(),
            self.folder,
            processing_exception_handler=lambda failure: hr.Reaction.retry,
            processing_exception_handler_global_enabled=True,
        )
        config = {"cleanup.policy": "compact" if compacts else "delete"}
        self.app.log.create_topics([TopicSpec("rows", 3, config), TopicSpec("events", 2, config)])
        self.app.open()

    @rule(key=st.sampled_from(KEYS), value=st.none() | st.integers(0, 99))
    def write_row(self, key: str, value: int | None) -> None:
        assert self.app is not None
        partition = TopicPartition("rows", KEYS.index(key) % 3)
        self.app.write_to(partition, (key.encode(), None if value is None else eight(value), 0))
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    @rule(key=st.sampled_from(KEYS), bad=st.booleans(), failures=st.integers(0, 1))
    def write_event(self, key: str, bad: bool, failures: int) -> None:
        assert self.app is not None
        partition = TopicPartition("events", KEYS.index(key) % 2)
        self.app.write_to(partition, (key.encode(), eight(BAD if bad else 1), 0))
        self.counts[key] = self.counts.get(key, 0) + 1
        self.failures_left = failures if bad else self.failures_left

    @rule()
    def commit(self) -> None:
        assert self.app is not None
        self.app.worker.commit()

    @rule(hours=st.sampled_from([0, 30]))
    def crash(self, hours: int) -> None:
        assert self.app is not None
        self.app.crash()
        self.app.clock.advance(hours * 3_600_000)
        self.app.open()

    @rule()
    def lose_the_disk(self) -> None:
        assert self.app is not None
        self.app.crash()
        shutil.rmtree(self.folder / "global")
        self.app.open()

    @rule()
    def turn(self) -> None:
        assert self.app is not None
        self.app.turn()
        assert dict(self.app.worker.query("kept")[-1].all()) == self.rows
        assert dict(self.app.worker.query("counted")[-1].all()) == self.counts

    def teardown(self) -> None:
        if self.app is not None:
            self.turn()
            self.app.worker.close()
        shutil.rmtree(self.folder)


GlobalStores.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
TestGlobalStores = GlobalStores.TestCase
