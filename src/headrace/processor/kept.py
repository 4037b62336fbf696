"""The context of records that were kept, in a cache or a buffer, and leave together as a stretch."""

from headrace.base.columns import Stretch
from headrace.base.records import Headers
from headrace.processor.context import TaskContext

__all__ = ["KeptTogether"]


class KeptTogether:
    """A `Kept` of many records of one topic-partition: the context's offset tells the one that is meant.

    Looked up when somebody asks: those who hear of a failure, and nobody else.
    """

    __slots__ = ("_context", "_stretch")

    def __init__(self, context: TaskContext, stretch: Stretch) -> None:
        self._context = context
        self._stretch = stretch

    @property
    def headers(self) -> Headers:
        """Those of the record."""
        return self._stretch.headers[self._index]

    @property
    def timestamp(self) -> int:
        """That of the record (epoch ms)."""
        return self._stretch.timestamps[self._index]

    @property
    def _index(self) -> int:
        return self._stretch.offsets.index(self._context.offset)
