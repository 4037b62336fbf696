"""How a loop over records reads and writes the entries of a record cache: without a call, as statements of its program.

What `get` and `put` do where a row is there and nothing can refuse its new value. All else goes to them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.state.values import ValueCodec

__all__ = ["InPlace"]

#: Sets `entry`, None where the cache has none, and `row`. `{cell}` is where the row stands, as `get` is told;
#: `{entry}` gives the entry, by `find`, which takes the cell as one object.
_GET = """\
entry = {entry}
row = get({cell}) if entry is None else entry.row
"""

#: Puts `new`, with the time `latest`, in place of the row that was got. A value of the class that entries keep as an
#: object, none of which weighs more than another: so nothing is evicted for it. Its changelog takes such values for
#: their times alone.
_PUT = """\
if (
    entry is not None
    and row is not None
    and latest <= rows.safe_ms<accepts>
):
    entry.row = (new, latest)
    entry.is_used = True
    if not entry.is_dirty:
        dirty_again(entry)
    rows.moves = entry.order = rows.moves + 1
    entry.topic = context.topic
    entry.offset = context.offset
    entry.timestamp = latest
    entry.headers = headers
else:
    put({cell}, new, latest, headers)
"""

#: The question whether `new` can be written, where a look at two bounds answers it: an eighth of a call.
_WITHIN = "lowest <= new <= highest"

#: No count gets there.
_COUNT_MAX = 2**62


class InPlace(NamedTuple):
    """The statements, and what they find by name, beside `get`, `put` and what the loop has of its own.

    `put_count` is `put` of what is surely a count.
    """

    get: str
    put: str
    put_count: str
    names: Mapping[str, Any]

    @classmethod
    def of(cls, codec: ValueCodec, **names: Any) -> "InPlace":
        """Make them for the values of a codec, with the names that a cache gives them."""
        names |= {"accepts": codec.accepts, "kept_type": codec.kept_type}
        accepts = "accepts(new)"
        if codec.whole is not None:
            names |= {"lowest": codec.whole[0], "highest": codec.whole[-1]}
            accepts = _WITHIN
        put = _PUT.replace("<accepts>", f"\n    and type(new) is kept_type\n    and {accepts}")
        takes_counts = codec.whole is not None and codec.whole[-1] > _COUNT_MAX
        return cls(_GET, put, _PUT.replace("<accepts>", "") if takes_counts else put, names)
