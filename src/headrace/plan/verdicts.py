"""What changes of a topology cost, and what a lock file and a log say of them together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

__all__ = ["Change", "Verdict", "told_once", "worst"]


class Verdict(Enum):
    """What a change costs, the least first."""

    SAFE = "safe"
    ORPHANS = "orphans this topic"
    REBUILDS = "rebuilds this store"
    NEW_APPLICATION = "needs a new application id"

    @property
    def rank(self) -> int:
        """How serious it is: 0 for the least."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, and what follows from it.

    Attributes:
        subject: what has changed, such as "store 'counts'".
        text: in what, and what follows.
    """

    subject: str
    verdict: Verdict
    text: str


def worst(changes: Iterable[Change]) -> Verdict:
    """Return the most serious verdict; safe where nothing has changed."""
    return max((each.verdict for each in changes), key=attrgetter("rank"), default=Verdict.SAFE)


def told_once(by_file: Sequence[Change], by_log: Sequence[Change]) -> list[Change]:
    """Return the changes of both, without what the log says less, or no more, of a store or topic than the file does.

    A file knows serdes, windows and what something was before; a log knows what is there. Where that makes a change
    worse, both are told.
    """
    known: dict[str, int] = {}
    for each in by_file:
        known[each.subject] = max(known.get(each.subject, -1), each.verdict.rank)
    added = [each for each in by_log if each.verdict.rank > known.get(each.subject, -1)]
    return list(dict.fromkeys((*by_file, *added)))
