"""How a loop over records reads and writes rows in memory: without a call, as statements of its program.

They are the entries of a record cache or, where there is none, the rows of a buffer. What `get` and `put` do where a
row is there and nothing can refuse its new value. All else goes to them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.state.values import ValueCodec

__all__ = ["InPlace"]

#: Sets `entry`, None where the cache has none, and `row`. `{cell}` is where the row stands, as `get` is told, `{live}`
#: whether it may be read where it is; `<entry>` gives the entry.
_GET = """\
entry = <entry>
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

#: The same of a buffer. A row that is known by its bytes alone is opened by `get`.
_GET_UNCACHED = """\
entry = find({cell})
row = get({cell}) if entry is None or entry[0] is encoded else entry
"""

#: It was put since the last commit, so that its key was judged, and has its place in the order.
_PUT_UNCACHED = """\
if (
    entry is not None
    and latest <= rows.safe_ms<accepts>
):
    raw = encode(new)
    put_row({cell}, (new, latest, raw))<log>
    dropped = None
else:
    dropped = put({cell}, new, latest, headers)
"""

#: The same of a compiled cache, whose entries are no objects.
_GET_COMPILED = """\
row = find({cell}<slot>) if {live} else False
is_here = row is not False
if not is_here:
    row = get({cell})
"""

_PUT_COMPILED = """\
if not (
    is_here
    and latest <= rows.safe_ms<accepts>
    and put_here({cell}<slot>, new, latest, headers, context.topic, context.offset)
):
    put({cell}, new, latest, headers)
"""

_LOG = """
    log_key({cell})
    log_value(raw)
    log_timestamp(latest)
    log_headers(no_headers)"""

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
    def of(cls, codec: ValueCodec, entry: str, **names: Any) -> "InPlace":
        """Make them for the values of a codec, with the names that a cache gives them; `entry` finds an entry."""
        return cls._made(codec, _GET.replace("<entry>", entry), _PUT, names)

    @classmethod
    def compiled(cls, codec: ValueCodec, slot: str, **names: Any) -> "InPlace":
        """Make them for a compiled cache; `slot` follows a cell that has none."""
        get, put = (each.replace("<slot>", slot) for each in (_GET_COMPILED, _PUT_COMPILED))
        return cls._made(codec, get, put, names)

    @classmethod
    def uncached(cls, codec: ValueCodec, *, logs: bool, **names: Any) -> "InPlace":
        """Make them for a buffer; `logs` says whether it has a changelog."""
        put = _PUT_UNCACHED.replace("<log>", _LOG if logs else "")
        return cls._made(codec, _GET_UNCACHED, put, {**names, "encode": codec.encode})

    @classmethod
    def _made(cls, codec: ValueCodec, get: str, put: str, names: Mapping[str, Any]) -> "InPlace":
        accepts = "accepts(new)"
        found = {**names, "accepts": codec.accepts, "kept_type": codec.kept_type}
        if codec.whole is not None:
            found |= {"lowest": codec.whole[0], "highest": codec.whole[-1]}
            accepts = _WITHIN
        judged = put.replace("<accepts>", f"\n    and type(new) is kept_type\n    and {accepts}")
        takes_counts = codec.whole is not None and codec.whole[-1] > _COUNT_MAX
        return cls(get, judged, put.replace("<accepts>", "") if takes_counts else judged, found)
