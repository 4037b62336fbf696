"""How RocksDB is set up, and the memory that all databases of a process share.

rocksdict is handed in as an argument: only state/rocksdb.py imports it, at the first opening.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = [
    "ROCKS_MEMORY_BYTES",
    "ROCKS_MEMORY_BYTES_MIN",
    "Configure",
    "RocksMemory",
    "as_they_are",
    "database_options",
    "store_options",
]

#: Changes how RocksDB keeps a store: its name, rocksdict's `Options` and `BlockBasedOptions`.
Configure: TypeAlias = Callable[[str, Any, Any], object]


def as_they_are(store: str, options: Any, blocks: Any) -> None:
    """Change no options."""


#: Smallest piece of memory a memtable takes. RocksDB's own is an eighth of the write buffer, for every family of every
#: task; most families hold little.
_ARENA_BYTES = 64 * 1024

#: A family is flushed at this size at the latest. Kafka Streams' value.
_WRITE_BUFFER_BYTES = 16 * 1024 * 1024

_BLOOM_BITS_PER_KEY = 10


#: What RocksDB keeps in memory if nobody says otherwise. With less than the least, a dozen stores flush all the time.
ROCKS_MEMORY_BYTES = 96 * 1024 * 1024
ROCKS_MEMORY_BYTES_MIN = 1024 * 1024


class RocksMemory:
    """Block cache and write buffers, shared by all databases of a process and bounded together. One object a process.

    Write buffers are charged to the cache: what they take, blocks do not have. With a bound of their own they took as
    much again, which was reached minutes after the start and looked like a leak.

    Args:
        bytes_max: for blocks read and rows not yet flushed, these up to a third of it; beyond that the fullest database
            flushes. Indexes and filters of tables come on top.
        configure: is given the options of each store before it is opened; neither cache nor bounds are its to change.
    """

    __slots__ = ("_block_cache", "_write_buffers", "bytes_max", "configure")

    def __init__(self, bytes_max: int = ROCKS_MEMORY_BYTES, *, configure: Configure = as_they_are) -> None:
        self.configure = configure
        self.bytes_max = bytes_max
        self._block_cache: Any = None
        self._write_buffers: Any = None

    def shared(self, rocksdict: Any) -> tuple[Any, Any]:
        """RocksDB's block cache and write buffer manager, made at the first call."""
        if self._block_cache is None:
            self._block_cache = rocksdict.Cache(self.bytes_max)
            # A stall of this manager would block inside `write` and hold the GIL, in spite of `no_slowdown`.
            self._write_buffers = rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
                self.bytes_max // 3, False, self._block_cache
            )
        return self._block_cache, self._write_buffers

    @property
    def used_bytes(self) -> int:
        """What block cache and write buffers hold now."""
        if self._block_cache is None:
            return 0
        used: int = self._block_cache.get_usage()  # with what the write buffers are charged
        return used


def database_options(rocksdict: Any, memory: RocksMemory) -> Any:
    """Options of a database, and of the family with its positions."""
    options, blocks = _options(rocksdict)
    return _bounded(options, blocks, rocksdict, memory)


def store_options(rocksdict: Any, memory: RocksMemory, store: str) -> Any:
    """Options of a store's family."""
    options, blocks = _options(rocksdict)
    memory.configure(store, options, blocks)
    return _bounded(options, blocks, rocksdict, memory)


def _bounded(options: Any, blocks: Any, rocksdict: Any, memory: RocksMemory) -> Any:
    """Set what all stores share, last of all: whatever a user has set, memory has its bound."""
    block_cache, write_buffers = memory.shared(rocksdict)
    blocks.set_block_cache(block_cache)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_manager(write_buffers)
    return options


def _options(rocksdict: Any) -> tuple[Any, Any]:
    blocks = rocksdict.BlockBasedOptions()
    # An absent key costs 0.3 µs with a filter, and a block read without.
    blocks.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_arena_block_size(_ARENA_BYTES)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    # All families of a database reach the disk at the same moment of the log: without it a crash tears them apart.
    options.set_atomic_flush(True)
    # One thread writes, so memtables need no locks (8 % of a write).
    options.set_allow_concurrent_memtable_write(False)
    # As Kafka Streams: writes are frequent and rows small.
    options.set_compaction_style(rocksdict.DBCompactionStyle.universal())
    options.set_compression_type(rocksdict.DBCompressionType.none())
    options.set_max_background_jobs(2)
    # A task's directory is opened at each start and each move: nothing that scans files.
    options.set_skip_stats_update_on_db_open(True)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_keep_log_file_num(2)
    return options, blocks
