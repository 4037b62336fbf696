"""The reference of all public names, by what they are for. Sphinx reads signatures and docstrings from the code."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Generic, Protocol

import headrace

__all__ = ["PAGES", "ApiPage", "all_pages", "found", "members", "pages", "public_names"]


@dataclass(frozen=True)
class ApiPage:
    """One page: its title, what it is for, and its names, each below `headrace.` or in a module of it.

    Public names that no page has are on a page of their module, or of the others: nobody can forget one.
    """

    title: str
    introduction: str
    names: Sequence[str]


def _of(module: str, names: str) -> list[str]:
    return [f"{module}.{name}" for name in names.split()]


PAGES: Mapping[str, ApiPage] = {
    "building.md": ApiPage(
        "Topics, builder, streams and tables",
        "How a topology is described. Every method that takes a function looks at it when it is called, and says where "
        "it does not fit.",
        [
            "Topic",
            "Pattern",
            "Writable",
            "StreamsBuilder",
            "KStream",
            "KTable",
            "GlobalKTable",
            "KGroupedStream",
            "KGroupedTable",
            "CogroupedKStream",
            "TimeWindowedKStream",
            "TimeWindowedCogroupedKStream",
            "SessionWindowedKStream",
            "SessionWindowedCogroupedKStream",
            "BranchedKStream",
            "JoinStores",
            "Topology",
            "with_key",
            "with_keys",
            "with_headers",
            "WithKey",
            "WithKeys",
            "WithHeaders",
        ],
    ),
    "expressions.md": ApiPage(
        "Expressions",
        "What is computed of a record, written as a value: it stands where a function could, and runs faster. "
        "[Expressions](../operators/expressions.md) tells how.",
        ["col", "key", "value", "Expression"],
    ),
    "windows.md": ApiPage(
        "Windows and suppression",
        'Lengths of time are text (`"5m"`), or a `timedelta`; never bare numbers.',
        [
            "Duration",
            "TimeWindows",
            "SlidingWindows",
            "SessionWindows",
            "UnlimitedWindows",
            "JoinWindows",
            "Window",
            "Windowed",
            "until_window_closes",
            "until_time_limit",
            "Suppressed",
        ],
    ),
    "aggregations.md": ApiPage(
        "Ready-made aggregations",
        "`from headrace import agg`; each is given to `aggregate()`.",
        _of("agg", "Aggregation count sum mean min max first last top collect distinct into"),
    ),
    "stores.md": ApiPage(
        "Stores",
        "`from headrace import stores`: declarations, and what processors and queries are handed.",
        _of(
            "stores",
            "key_value window session versioned lru custom Store Engine Logging KeyValueStore WindowStore SessionStore "
            "VersionedStore ReadOnlyKeyValueStore ReadOnlyWindowStore ReadOnlySessionStore ReadOnlyVersionedStore Stamped "
            "CustomStore StoreContext",
        ),
    ),
    "processors.md": ApiPage(
        "Processors, records and handlers",
        "Code of your own between streams, and what is asked when something fails.",
        [
            "Record",
            "RecordMetadata",
            "Headers",
            "processor",
            "Processor",
            "ProcessorContext",
            "ProcessorSupplier",
            "FixedKeyProcessor",
            "FixedKeyContext",
            "FixedKeyProcessorSupplier",
            "Cancellable",
            "Failure",
            "Handler",
            "Reaction",
            "log_and_continue",
            "log_and_fail",
        ],
    ),
    "serdes.md": ApiPage(
        "Serdes",
        "Where a serde is wanted, a class does as well: `str`, `int`, `float`, `bytes`, `bool`, `UUID`, a dataclass, a "
        "msgspec struct, a pydantic model, and what is made of these (`list[Order]`).",
        [
            "Serde",
            "SerdeLike",
            "string",
            "int64",
            "int32",
            "float64",
            "float32",
            "boolean",
            "raw",
            "uuid",
            "json",
            "msgpack",
            "optional",
            "time_windowed",
            "session_windowed",
        ],
    ),
    "running.md": ApiPage(
        "Applications and queries",
        "What runs a topology, and what can be asked of it.",
        [
            "Streams",
            "Producer",
            "Config",
            "ConfigFields",
            "Position",
            "Change",
            "LagInfo",
            "HostInfo",
            "KeyQueryMetadata",
            "StreamsMetadata",
            "RestoreListener",
            "StandbyUpdateListener",
            "Metric",
            "Metrics",
            "LogFields",
            *_of("server", "Server asgi"),
            *_of("metrics.prometheus", "exposition StreamsCollector"),
            *_of("metrics.otel", "instrument"),
        ],
    ),
    "testing.md": ApiPage(
        "Testing",
        "`from headrace import testing`. In pytest, the fixtures `topology_driver` and `local_kafka` are there without an import.",
        _of(
            "testing",
            "TopologyTestDriver InputTopic OutputTopic run MockProcessorContext Forwarded Scheduled LocalKafka JavaRecord",
        ),
    ),
}

#: Names that stand for types. What each is, since an alias has no docstring.
_ALIASES = {
    "Duration": "`str | datetime.timedelta`: text such as `500ms`, `5s`, `10m`, `1h`, `7d`, or a timedelta.",
    "Headers": "`tuple[tuple[str, bytes | None], ...]`: the headers of a record, in order; a name may come twice.",
    "Handler": "`Callable[[Failure], Reaction]`: what decides about a record that fails.",
    "ProcessorSupplier": "`Callable[[], Processor]`: a class, or a function that makes a new processor for each task.",
    "FixedKeyProcessorSupplier": "`Callable[[], FixedKeyProcessor]`: the same for `process_values`.",
    "SerdeLike": "A `Serde`, or a class that stands for one.",
    "stores.Engine": '`"rocksdb"` or `"memory"`.',
    "stores.Logging": '`bool`, or a mapping of properties of the changelog topic: `{"min.insync.replicas": "2"}`.',
}
_SERDES = {
    "string": "Text, as UTF-8.",
    "int64": "Whole numbers in 8 bytes, as Java's `Long`; `int` stands for it.",
    "int32": "Whole numbers in 4 bytes, as Java's `Integer`.",
    "float64": "Numbers in 8 bytes, as Java's `Double`; `float` stands for it.",
    "float32": "Numbers in 4 bytes, as Java's `Float`.",
    "boolean": "True or false in a byte; `bool` stands for it.",
    "raw": "Bytes as they are; `bytes` stands for it.",
    "uuid": "A `uuid.UUID` as text, as Kafka's serde writes it; `UUID` stands for it.",
}


def modules() -> list[str]:
    """The public modules below `headrace.`, in order."""
    return [name for name in dir(headrace) if inspect.ismodule(getattr(headrace, name))]


def public_names() -> set[str]:
    """Every public name below `headrace.`: of the package, and of its public modules."""
    names = set(headrace.__all__) - {*modules()}
    for module in modules():
        names |= {f"{module}.{name}" for name in import_module(f"headrace.{module}").__all__}
    return names


def found(name: str) -> bool:
    """Whether a name below `headrace.` is public: `KStream.filter`, `stores.window`."""
    public = public_names()
    owner, _, member = name.rpartition(".")
    return name in public or (owner in public and member in members(owner))


def members(name: str) -> set[str]:
    """The public methods, properties and fields of a class that is public."""
    of = _object(name)
    if not inspect.isclass(of):
        return set()
    bases = (object, Exception, tuple, dict, Enum, logging.Filter)
    own = [each for each in of.__mro__ if each not in (*bases, BaseException, Generic, Protocol)]
    names = {member for each in own for member in (*vars(each), *inspect.get_annotations(each))}
    return {member for member in names if not member.startswith("_")}


def _object(name: str) -> object:
    module, _, last = name.rpartition(".")
    of: object = getattr(import_module(f"headrace.{module}") if module else headrace, last)
    return of


def pages() -> dict[str, str]:
    """Return each page's text by its file's name."""
    return {file: _page(page) for file, page in all_pages().items()}


def all_pages() -> dict[str, ApiPage]:
    """The pages that are described here, and those of what is on none of them. Errors have a page of their own."""
    told = {name for page in PAGES.values() for name in page.names}
    left = sorted(name for name in public_names() - told if not _is_error(name))
    found = dict(PAGES)
    for module in modules():
        names = [name for name in left if name.startswith(f"{module}.")]
        if names:
            words = inspect.getdoc(import_module(f"headrace.{module}")) or ""
            found[f"module-{module}.md"] = ApiPage(f"headrace.{module}", words, names)
    others = [name for name in left if "." not in name]
    if others:
        found["others.md"] = ApiPage("Others", "What has no page yet.", others)
    return found


def _is_error(name: str) -> bool:
    of = _object(name)
    return inspect.isclass(of) and issubclass(of, headrace.HeadraceError)


def _page(page: ApiPage) -> str:
    parts = [f"# {page.title}\n\n{page.introduction}\n"]
    for name in page.names:
        parts.append(f"\n## {name}\n\n```{{eval-rst}}\n{_directive(name)}\n```\n")
    return "".join(parts)


def _directive(name: str) -> str:
    told = _ALIASES.get(name) or _SERDES.get(name)
    if told is not None:
        said = told.replace("`", "``")
        return f".. py:data:: headrace.{name}\n\n   {said}"
    if inspect.isclass(_object(name)):
        return f".. autoclass:: headrace.{name}\n   :members:\n   :undoc-members:\n   :inherited-members: {_BASES}"
    return f".. autofunction:: headrace.{name}"


#: What a class has of these is Python's own.
_BASES = "object, Exception, tuple, dict, TypedDict, Generic, Protocol, Filter"
