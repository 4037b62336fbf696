"""Metrics of state stores: what is done to them, what they hold, and what RocksDB says of theirs."""

from headrace.metrics.declaration import STATE, TASK, Declaration, Level, fields_of

__all__ = ["CACHES", "OPERATIONS", "PROPERTIES", "ROCKSDB_PROPERTIES", "STORES"]

_state = fields_of("stream-state-metrics", STATE)
_deep_state = fields_of("stream-state-metrics", STATE, Level.DEBUG)
_deepest_state = fields_of("stream-state-metrics", STATE, Level.TRACE)
_cache = fields_of("stream-record-cache-metrics", (*TASK, "record-cache-id"), Level.DEBUG)

#: What is done to stores, and what it is in words.
OPERATIONS = {
    "put": "Puts, deletions included",
    "put-all": "Puts of many rows at once",
    "get": "Looks at a key",
    "fetch": "Looks at windows or sessions",
    "range": "Reads of a range, to its end",
    "prefix-scan": "Reads of the keys with a prefix, to their end",
    "flush": "Flushes of its cache, at commits",
}

STORES: tuple[Declaration, ...] = (
    *(
        each
        for operation, text in OPERATIONS.items()
        for each in (
            _deep_state.one(f"{operation}-rate", "gauge", "calls/s", f"{text}, a second."),
            *_deep_state.extremes(f"{operation}-latency", "ms", f"{text}, time of one"),
        )
    ),
    *_deep_state.extremes(
        "iterator-duration", "ms", "Time from when rows are read one by one to the end of it"
    ),
    *_deepest_state.extremes(
        "record-e2e-latency", "ms", "Age of records by their timestamps when they are put", least=True
    ),
    _state.one("uncommitted-bytes", "gauge", "bytes", "What was changed and waits for a commit, roughly."),
    _state.one("num-open-iterators", "gauge", "iterators", "Iterators of RocksDB that are open."),
    _state.one("num-keys", "gauge", "rows", "Rows of a store in memory, as of the last commit."),
    *_state.extremes(
        "suppression-buffer-count", "updates", "Updates that suppression holds back, at commits"
    ),
    *_state.extremes("suppression-buffer-size", "bytes", "The same in bytes, at commits"),
)

CACHES: tuple[Declaration, ...] = _cache.extremes(
    "hit-ratio", "ratio", "Share of look-ups that the record cache answers", least=True
)

#: RocksDB's own properties by their names there, each of one store unless the text says otherwise.
PROPERTIES = {
    "background-errors": ("errors", "Failures of flushes and compactions, of all stores of the task."),
    "block-cache-capacity": ("bytes", "Size of the block cache, which all stores of the process share."),
    "block-cache-pinned-usage": (
        "bytes",
        "What of the shared block cache is in use by iterators and readers.",
    ),
    "block-cache-usage": ("bytes", "What is in the shared block cache."),
    "compaction-pending": ("", "1 while a compaction waits."),
    "cur-size-active-mem-table": ("bytes", "Size of the memtable that takes writes."),
    "cur-size-all-mem-tables": ("bytes", "Size of all memtables that are not flushed."),
    "estimate-num-keys": ("rows", "Rows, by RocksDB's estimate."),
    "estimate-pending-compaction-bytes": (
        "bytes",
        "What compactions still have to rewrite, by RocksDB's estimate.",
    ),
    "estimate-table-readers-mem": ("bytes", "Memory of table readers beside the block cache."),
    "live-sst-files-size": ("bytes", "Size of the files of the newest version."),
    "mem-table-flush-pending": ("", "1 while a flush waits."),
    "num-deletes-active-mem-table": ("rows", "Deletions in the memtable that takes writes."),
    "num-deletes-imm-mem-tables": ("rows", "Deletions in memtables that wait for a flush."),
    "num-entries-active-mem-table": ("rows", "Entries in the memtable that takes writes."),
    "num-entries-imm-mem-tables": ("rows", "Entries in memtables that wait for a flush."),
    "num-immutable-mem-table": ("memtables", "Memtables that wait for a flush."),
    "num-live-versions": ("versions", "Versions that files or iterators keep."),
    "num-running-compactions": ("compactions", "Compactions that run, of all stores of the task."),
    "num-running-flushes": ("flushes", "Flushes that run, of all stores of the task."),
    "size-all-mem-tables": ("bytes", "Size of all memtables, flushed ones that are still read too."),
    "total-sst-files-size": ("bytes", "Size of all files."),
}

ROCKSDB_PROPERTIES: tuple[Declaration, ...] = tuple(
    _state.one(name, "gauge", unit, text) for name, (unit, text) in PROPERTIES.items()
)
