"""Listeners that a program hands over, to hear of its stores while they are restored or followed.

Source: `StateRestoreListener` and `StandbyUpdateListener` of Kafka Streams 4.4.
"""

from typing import Literal

from headrace.base.ids import TaskId, TopicPartition

__all__ = ["RestoreListener", "StandbyUpdateListener"]


class RestoreListener:
    """Hears of restores. Inherit it, or write a class with some of these methods; all are called in stream threads."""

    def on_restore_start(
        self, topic_partition: TopicPartition, store_name: str, starting_offset: int, ending_offset: int
    ) -> None:
        """Hear that a store is to be restored from the one offset to before the other; they may be the same."""

    def on_batch_restored(
        self, topic_partition: TopicPartition, store_name: str, batch_end_offset: int, num_restored: int
    ) -> None:
        """Hear that so many records were applied; the last one has the offset."""

    def on_restore_end(self, topic_partition: TopicPartition, store_name: str, total_restored: int) -> None:
        """Hear that a store has all that it lacked."""

    def on_restore_suspended(
        self, topic_partition: TopicPartition, store_name: str, total_restored: int
    ) -> None:
        """Hear that a restore was given up: the task goes elsewhere, begins anew, or the application stops."""


class StandbyUpdateListener:
    """Hears of standbys. Inherit it, or write a class with some of these methods; all are called in stream threads."""

    def on_update_start(self, topic_partition: TopicPartition, store_name: str, starting_offset: int) -> None:
        """Hear that a store is followed from an offset on."""

    def on_batch_loaded(
        self,
        topic_partition: TopicPartition,
        store_name: str,
        task_id: TaskId,
        batch_end_offset: int,
        batch_size: int,
        current_end_offset: int | None,
    ) -> None:
        """Hear that so many records were applied; the last one has the offset. An end that is not known is None."""

    def on_update_suspended(
        self,
        topic_partition: TopicPartition,
        store_name: str,
        store_offset: int,
        current_end_offset: int | None,
        reason: Literal["promoted", "migrated"],
    ) -> None:
        """Hear that a store is followed no more, since its task runs here now ("promoted"), or for any other reason."""
