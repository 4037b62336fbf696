"""What a lock file and the topics of a log say of one change, told once. Pure."""

from collections.abc import Sequence

from headrace.plan.upgrade import Change, Verdict

__all__ = ["told_once"]

_ORDER = list(Verdict)


def told_once(by_file: Sequence[Change], by_log: Sequence[Change]) -> list[Change]:
    """Return the changes of both, without what the log says less, or no more, of a store or topic than the file does.

    A file knows serdes, windows and what something was before; a log knows what is there. Where that makes a change
    worse, both are told.
    """
    known: dict[str, int] = {}
    for each in by_file:
        known[each.subject] = max(known.get(each.subject, -1), _ORDER.index(each.verdict))
    added = [each for each in by_log if _ORDER.index(each.verdict) > known.get(each.subject, -1)]
    return list(dict.fromkeys((*by_file, *added)))
