"""A change of one row, as a value: what a record of Debezium says, before it is known what was there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from headrace.serde.debezium.rows import RowType

__all__ = ["Operation", "RowChange"]

R = TypeVar("R")

#: `read` is a row that a snapshot found; `truncate` is of the whole table, and has no key.
Operation = Literal["read", "insert", "update", "delete", "truncate"]


@dataclass(frozen=True, slots=True)
class RowChange(Generic[R]):
    """What became of a row.

    Attributes:
        values: of the row after the change, by column, as the class wants them; empty where there is none.
        unchanged: columns of the class whose large values have not changed, and are not in the record.
        before: the row before as the record has it, unconverted; None where the database does not log it. Of a
            deletion, nothing but the key is to be believed: other columns that cannot be null have invented values.
        follows_key_change: an insertion of a row that had another key before, under which it was deleted.
        source: where the database had it: table, transaction, position in its log.
        timestamp: epoch ms at which the database committed it; -1 where it is not said.
    """

    operation: Operation
    values: Mapping[str, object]
    unchanged: frozenset[str] = frozenset()
    before: Mapping[str, object] | None = None
    follows_key_change: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)
    timestamp: int = -1
    _type: RowType[R] | None = None

    @property
    def is_deletion(self) -> bool:
        """Whether there is no row after it."""
        return self.operation in ("delete", "truncate")

    def row(self, before: R | None = None) -> R:
        """Return the row after the change; `before` is the row that was there, where it is known.

        Raises:
            ValueError: a large value is not in the record and not known, or the values make no row.
        """
        if self.is_deletion or self._type is None:
            raise ValueError(f"there is no row after a change of the kind {self.operation!r}")
        if self.unchanged and before is None:
            raise ValueError(
                f"the values of {_listed(self.unchanged)} have not changed and are not in the record, and the row "
                f"before it is not known{_KEY if self.follows_key_change else ''}; {_ADVICE}"
            )
        # A null may be a mark, unless the database logs whole rows.
        if (self.operation == "update" or self.follows_key_change) and self.before is None:
            doubtful = self._type.ambiguous(self.values)
            if doubtful and (
                before is None or any(self._type.value_of(before, each) is not None for each in doubtful)
            ):
                raise ValueError(
                    f"null in {_listed(doubtful)} is what Debezium writes for a large array of its type that has not "
                    f"changed, too, so that nobody can tell; {_ADVICE}"
                )
        return self._type.made(self.values, before, self.unchanged)

    @property
    def follows_commit(self) -> int:
        """The position in PostgreSQL's log of the commit before its transaction; -1 where it is not said.

        It never goes back, unless the connector was killed and writes changes again. That of the change itself does:
        changes of transactions lie across each other.
        """
        said = self.source.get("sequence")
        if not isinstance(said, str) or not said.startswith('["'):
            return -1
        return int(said[2 : said.index('"', 2)])


_KEY = " (the key of the row has changed)"
_ADVICE = "let the database log whole rows: ALTER TABLE … REPLICA IDENTITY FULL"


def _listed(columns: Any) -> str:
    return ", ".join(map(repr, sorted(columns)))
