"""Says what to write instead of a name that is not there: another spelling, or what does the same."""

import difflib
import re
from collections.abc import Iterable, Mapping

__all__ = ["no_attribute"]


def no_attribute(owner: str, name: str, present: Iterable[str], instead: Mapping[str, str]) -> AttributeError:
    """Make the error of a name that `owner` lacks.

    `instead` has what is to be said, by name in Python's spelling; Java's spelling of it, or of a name that is present,
    is seen through.
    """
    told = f"{owner} has no {name!r}"
    if name.startswith("_"):
        return AttributeError(told)
    names = [each for each in present if not each.startswith("_")]
    python = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for spelt in (name, python):
        if spelt in instead:
            return AttributeError(f"{told}: {instead[spelt]}")
        if spelt in names:
            return AttributeError(f"{told}: write {spelt}")
    alike = {each.replace("_", "").lower(): each for each in names}
    near = difflib.get_close_matches(name.replace("_", "").lower(), alike, n=1, cutoff=0.7)
    return AttributeError(f"{told}; did you mean {alike[near[0]]}?" if near else told)
