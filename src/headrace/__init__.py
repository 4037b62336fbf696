"""Kafka Streams for Python: turns Kafka topics into Kafka topics with local state, exactly once.

Names are loaded when they are first asked for: `import headrace` loads neither a store's engine nor a log's.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from headrace.base.advice import no_attribute
from headrace.base.foreign_names import INSTEAD

if TYPE_CHECKING:
    __version__: str

    from headrace import agg as agg
    from headrace import cdc as cdc
    from headrace import registry as registry
    from headrace import server as server
    from headrace import sql as sql
    from headrace import stores as stores
    from headrace import testing as testing
    from headrace.base.durations import Duration as Duration
    from headrace.base.errors import (
        ConfigError as ConfigError,
    )
    from headrace.base.errors import (
        HeadraceError as HeadraceError,
    )
    from headrace.base.errors import (
        LogError as LogError,
    )
    from headrace.base.errors import (
        ProcessingError as ProcessingError,
    )
    from headrace.base.errors import (
        ProductionError as ProductionError,
    )
    from headrace.base.errors import (
        SerializationError as SerializationError,
    )
    from headrace.base.errors import (
        StateError as StateError,
    )
    from headrace.base.errors import (
        StoreUnavailableError as StoreUnavailableError,
    )
    from headrace.base.errors import (
        TopologyError as TopologyError,
    )
    from headrace.base.errors import (
        UnknownTopicError as UnknownTopicError,
    )
    from headrace.base.log_fields import LogFields as LogFields
    from headrace.base.records import (
        Headers as Headers,
    )
    from headrace.base.records import (
        Record as Record,
    )
    from headrace.base.records import (
        RecordMetadata as RecordMetadata,
    )
    from headrace.base.records import (
        Window as Window,
    )
    from headrace.base.records import (
        Windowed as Windowed,
    )
    from headrace.dsl.branching import BranchedKStream as BranchedKStream
    from headrace.dsl.builder import StreamsBuilder as StreamsBuilder
    from headrace.dsl.functions import WithKey as WithKey
    from headrace.dsl.functions import WithKeys as WithKeys
    from headrace.dsl.functions import with_key as with_key
    from headrace.dsl.functions import with_keys as with_keys
    from headrace.dsl.global_tables import GlobalKTable as GlobalKTable
    from headrace.dsl.join_stores import JoinStores as JoinStores
    from headrace.dsl.kgrouped import CogroupedKStream as CogroupedKStream
    from headrace.dsl.kgrouped import KGroupedStream as KGroupedStream
    from headrace.dsl.kgrouped_table import KGroupedTable as KGroupedTable
    from headrace.dsl.kstream import KStream as KStream
    from headrace.dsl.ktable import KTable as KTable
    from headrace.dsl.session_windowed import (
        SessionWindowedCogroupedKStream as SessionWindowedCogroupedKStream,
    )
    from headrace.dsl.session_windowed import SessionWindowedKStream as SessionWindowedKStream
    from headrace.dsl.suppressed import (
        Suppressed as Suppressed,
    )
    from headrace.dsl.suppressed import (
        until_time_limit as until_time_limit,
    )
    from headrace.dsl.suppressed import (
        until_window_closes as until_window_closes,
    )
    from headrace.dsl.time_windowed import TimeWindowedCogroupedKStream as TimeWindowedCogroupedKStream
    from headrace.dsl.time_windowed import TimeWindowedKStream as TimeWindowedKStream
    from headrace.dsl.windows import JoinWindows as JoinWindows
    from headrace.dsl.windows import SessionWindows as SessionWindows
    from headrace.dsl.windows import SlidingWindows as SlidingWindows
    from headrace.dsl.windows import TimeWindows as TimeWindows
    from headrace.dsl.windows import UnlimitedWindows as UnlimitedWindows
    from headrace.engine.status import LagInfo as LagInfo
    from headrace.expressions.expression import Expression as Expression
    from headrace.expressions.expression import col as col
    from headrace.expressions.expression import key as key
    from headrace.expressions.expression import value as value
    from headrace.metrics.metric import Metric as Metric
    from headrace.metrics.metric import Metrics as Metrics
    from headrace.processor.api import (
        FixedKeyContext as FixedKeyContext,
    )
    from headrace.processor.api import (
        FixedKeyProcessor as FixedKeyProcessor,
    )
    from headrace.processor.api import (
        FixedKeyProcessorSupplier as FixedKeyProcessorSupplier,
    )
    from headrace.processor.api import (
        Processor as Processor,
    )
    from headrace.processor.api import (
        ProcessorContext as ProcessorContext,
    )
    from headrace.processor.api import (
        ProcessorSupplier as ProcessorSupplier,
    )
    from headrace.processor.api import processor as processor
    from headrace.processor.context import Cancellable as Cancellable
    from headrace.processor.handlers import (
        Failure as Failure,
    )
    from headrace.processor.handlers import (
        Handler as Handler,
    )
    from headrace.processor.handlers import (
        Reaction as Reaction,
    )
    from headrace.processor.handlers import (
        log_and_continue as log_and_continue,
    )
    from headrace.processor.handlers import (
        log_and_fail as log_and_fail,
    )
    from headrace.processor.listeners import RestoreListener as RestoreListener
    from headrace.processor.listeners import StandbyUpdateListener as StandbyUpdateListener
    from headrace.query.changes import Change as Change
    from headrace.query.metadata import HostInfo as HostInfo
    from headrace.query.metadata import KeyQueryMetadata as KeyQueryMetadata
    from headrace.query.metadata import StreamsMetadata as StreamsMetadata
    from headrace.query.position import Position as Position
    from headrace.serde.primitives import (
        boolean as boolean,
    )
    from headrace.serde.primitives import (
        float32 as float32,
    )
    from headrace.serde.primitives import (
        float64 as float64,
    )
    from headrace.serde.primitives import (
        int32 as int32,
    )
    from headrace.serde.primitives import (
        int64 as int64,
    )
    from headrace.serde.primitives import (
        raw as raw,
    )
    from headrace.serde.primitives import (
        string as string,
    )
    from headrace.serde.primitives import (
        uuid as uuid,
    )
    from headrace.serde.resolve import optional as optional
    from headrace.serde.serde import Serde as Serde
    from headrace.serde.serde import SerdeLike as SerdeLike
    from headrace.serde.structured import json as json
    from headrace.serde.structured import msgpack as msgpack
    from headrace.serde.windowed import session_windowed as session_windowed
    from headrace.serde.windowed import time_windowed as time_windowed
    from headrace.streams.config import Config as Config
    from headrace.streams.config import ConfigFields as ConfigFields
    from headrace.streams.producer import Producer as Producer
    from headrace.streams.streams import Streams as Streams
    from headrace.topology.partitioners import WithHeaders as WithHeaders
    from headrace.topology.partitioners import with_headers as with_headers
    from headrace.topology.topics import Pattern as Pattern
    from headrace.topology.topics import Topic as Topic
    from headrace.topology.topics import Writable as Writable
    from headrace.topology.topology import Topology as Topology

_BY_MODULE = {
    "base.durations": ("Duration",),
    "base.errors": (
        "ConfigError",
        "HeadraceError",
        "LogError",
        "ProcessingError",
        "ProductionError",
        "SerializationError",
        "StateError",
        "StoreUnavailableError",
        "TopologyError",
        "UnknownTopicError",
    ),
    "base.log_fields": ("LogFields",),
    "base.records": ("Headers", "Record", "RecordMetadata", "Window", "Windowed"),
    "dsl.branching": ("BranchedKStream",),
    "dsl.builder": ("StreamsBuilder",),
    "dsl.functions": ("WithKey", "WithKeys", "with_key", "with_keys"),
    "dsl.global_tables": ("GlobalKTable",),
    "dsl.join_stores": ("JoinStores",),
    "dsl.kgrouped": ("CogroupedKStream", "KGroupedStream"),
    "dsl.kgrouped_table": ("KGroupedTable",),
    "dsl.kstream": ("KStream",),
    "dsl.ktable": ("KTable",),
    "dsl.session_windowed": ("SessionWindowedCogroupedKStream", "SessionWindowedKStream"),
    "dsl.suppressed": ("Suppressed", "until_time_limit", "until_window_closes"),
    "dsl.time_windowed": ("TimeWindowedCogroupedKStream", "TimeWindowedKStream"),
    "dsl.windows": ("JoinWindows", "SessionWindows", "SlidingWindows", "TimeWindows", "UnlimitedWindows"),
    "engine.status": ("LagInfo",),
    "expressions.expression": ("Expression", "col", "key", "value"),
    "metrics.metric": ("Metric", "Metrics"),
    "processor.api": (
        "processor",
        "FixedKeyContext",
        "FixedKeyProcessor",
        "FixedKeyProcessorSupplier",
        "Processor",
        "ProcessorContext",
        "ProcessorSupplier",
    ),
    "processor.context": ("Cancellable",),
    "processor.handlers": ("Failure", "Handler", "Reaction", "log_and_continue", "log_and_fail"),
    "processor.listeners": ("RestoreListener", "StandbyUpdateListener"),
    "query.changes": ("Change",),
    "query.metadata": ("HostInfo", "KeyQueryMetadata", "StreamsMetadata"),
    "query.position": ("Position",),
    "serde.primitives": ("boolean", "float32", "float64", "int32", "int64", "raw", "string", "uuid"),
    "serde.resolve": ("optional",),
    "serde.serde": ("Serde", "SerdeLike"),
    "serde.structured": ("json", "msgpack"),
    "serde.windowed": ("session_windowed", "time_windowed"),
    "streams.config": ("Config", "ConfigFields"),
    "streams.producer": ("Producer",),
    "streams.streams": ("Streams",),
    "topology.partitioners": ("WithHeaders", "with_headers"),
    "topology.topics": ("Pattern", "Topic", "Writable"),
    "topology.topology": ("Topology",),
}

_MODULE_OF = {name: module for module, names in _BY_MODULE.items() for name in names}

#: Modules that are public as they are.
_MODULES = frozenset({"agg", "cdc", "registry", "server", "sql", "stores", "testing"})

#: Those of them that an extra brings: `from headrace import *` does without, since a module of an extra that is not
#: installed is no name.
_OF_EXTRAS = frozenset({"registry", "server", "sql"})

__all__ = sorted({*_MODULE_OF, *_MODULES - _OF_EXTRAS})  # noqa: PLE0605 - a list, made of the table above


# The room `headrace.processor` becomes an attribute of this package when it is first imported, which is here, and would
# hide the decorator of the same name. It is not bound a second time.
import_module(f"{__name__}.processor")
del globals()["processor"]


if not TYPE_CHECKING:  # a checker takes the names above, and refuses others

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from headrace.base.version import headrace_version

            return headrace_version()
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        module = _MODULE_OF.get(name)
        if module is None:
            error = no_attribute(__name__, name, __dir__(), INSTEAD)
            if name in INSTEAD and sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap":
                # `from headrace import …` asks whether the name is there, and would say nothing of what is said here.
                raise ImportError(str(error), name=__name__) from None
            raise error
        # Kept, so that the next look-up does not come here.
        value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*_MODULE_OF, *_MODULES, "__version__"})
