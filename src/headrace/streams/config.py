"""Configuration: Kafka's property names as typed fields, gathered from code, file, environment and flags."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, Self, TypedDict

from typing_extensions import TypeVar, Unpack

from headrace.base.errors import ConfigError
from headrace.base.options import Option
from headrace.processor.handlers import Handler
from headrace.state.rocksdb_options import Configure
from headrace.streams.catalogue import OPTIONS, lookup

__all__ = ["Config", "ConfigFields", "Layer"]

T = TypeVar("T")


class ConfigFields(TypedDict, total=False):
    """Properties as arguments: Kafka's names with `_` for `.`; nothing is renamed.

    `properties` takes everything else, by Kafka's own name. A handler is a function, or text that names
    one as `MODULE:NAME`.
    """

    application_id: str
    bootstrap_servers: str
    embedded_path: str
    state_dir: str
    client_id: str
    group_protocol: Literal["classic", "streams"]
    group_instance_id: str
    max_poll_interval_ms: int
    processing_guarantee: Literal["at_least_once", "exactly_once_v2"]
    num_standby_replicas: int
    num_stream_threads: int
    commit_interval_ms: int
    statestore_cache_max_bytes: int
    max_task_idle_ms: int
    application_server: str
    deserialization_exception_handler: Handler
    processing_exception_handler: Handler
    production_exception_handler: Handler
    errors_dead_letter_queue_topic_name: str
    rocksdb_memory_max_bytes: int
    rocksdb_config_setter: Configure
    schema_registry_url: str
    tracing_enabled: bool
    properties: Mapping[str, object]


class Layer(IntEnum):
    """Where a value may come from; a higher layer wins over a lower one."""

    DEFAULT = 0
    CODE = 1
    FILE = 2
    ENVIRONMENT = 3
    FLAG = 4


@dataclass(frozen=True, slots=True)
class _Setting:
    value: Any
    layer: Layer
    origin: str


class Config:
    """Properties and where each came from. Immutable; `with_values` makes a changed copy.

    >>> config = Config(application_id="shop", commit_interval_ms=100)
    >>> config["commit.interval.ms"], config.origin("commit.interval.ms")
    (100, 'code')

    Raises:
        ConfigError: a property is unknown, cannot have that value, or shapes the topology.
    """

    __slots__ = ("_settings",)

    def __init__(self, **fields: Unpack[ConfigFields]) -> None:
        self._settings: dict[str, _Setting] = _read(_flat(fields), Layer.CODE, lambda name: "code")

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str] | None = None,
        *,
        env: str | None = "HEADRACE_",
        **fields: Unpack[ConfigFields],
    ) -> Self:
        """Read a TOML file and the environment over what code gives.

        A file names properties as Kafka does (`commit.interval.ms = 100`) or as fields (`commit_interval_ms = 100`).
        The environment has the field's name in capitals behind a prefix, `HEADRACE_COMMIT_INTERVAL_MS`; `env=None`
        leaves it alone.

        Raises:
            ConfigError: the file cannot be read, or as for `Config`; the message names the origin.
        """
        config = cls(**fields)
        if file is not None:
            config = config.with_values(_file_values(Path(file)), Layer.FILE, f"file {file}")
        if env is not None:
            found = _environment_values(env, os.environ)
            for variable, (name, value) in found.items():
                config = config.with_values({name: value}, Layer.ENVIRONMENT, f"environment {variable}")
        return config

    def with_values(self, values: Mapping[str, object], layer: Layer, origin: str | None = None) -> Self:
        """Return a copy with these values, where no higher layer has set the property."""
        said = origin or layer.name.lower()
        copy = type(self)()
        copy._settings = dict(self._settings)
        for name, setting in _read(values, layer, lambda _: said).items():
            present = copy._settings.get(name)
            if present is None or present.layer <= layer:
                copy._settings[name] = setting
        return copy

    def merged(self, other: "Config") -> Self:
        """Return a copy with the values of another configuration, where no higher layer of this one has set them."""
        copy = self
        for name in other._settings:
            copy = copy.with_values({name: other[name]}, other.layer(name), other.origin(name))
        return copy

    def without(self, name: str) -> Self:
        """Return a copy in which nobody has set a property."""
        copy = type(self)()
        copy._settings = {each: value for each, value in self._settings.items() if each != lookup(name).name}
        return copy

    def with_fields(self, **fields: Unpack[ConfigFields]) -> Self:
        """Return a copy with more values from code; file, environment and flags still win over them."""
        return self.with_values(_flat(fields), Layer.CODE)

    def __getitem__(self, name: str) -> Any:
        """Return a property's value by Kafka's name or field name; its default if nobody set it.

        Raises:
            ConfigError: it is unknown, or required and not set.
        """
        return self.get(lookup(name))

    def get(self, option: Option[T]) -> T:
        """Return the value of a declared property.

        Raises:
            ConfigError: it is required and not set.
        """
        setting = self._settings.get(option.name)
        if setting is not None:
            value: T = setting.value
            return value
        if option.is_required:
            raise ConfigError(
                f"{option.name} is not set: give {option.field}=… in code, {option.name} in a file or a flag, "
                f"or HEADRACE_{option.field.upper()} in the environment"
            )
        return option.default

    def get_or_none(self, name: str) -> Any:
        """Return a property's value, or None where it is neither set nor has a default."""
        return self[name] if self.is_set(name) or not lookup(name).is_required else None

    def is_set(self, name: str) -> bool:
        """Whether somebody set a property."""
        return lookup(name).name in self._settings

    def origin(self, name: str) -> str:
        """Say where a value came from: 'code', 'file shop.toml', 'environment HEADRACE_…', 'flag' or 'default'."""
        setting = self._settings.get(lookup(name).name)
        return "default" if setting is None else setting.origin

    def layer(self, name: str) -> Layer:
        """Return the layer that a value came from."""
        setting = self._settings.get(lookup(name).name)
        return Layer.DEFAULT if setting is None else setting.layer

    def values(self) -> dict[str, Any]:
        """Return what was set, by Kafka's names, read and checked; defaults are left out."""
        return {name: setting.value for name, setting in self._settings.items()}

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (name, value, origin, description) of every property, set or not, in a fixed order."""
        tags = {name: lookup(name) for name in sorted(self._settings.keys() - OPTIONS.keys())}
        for name, option in {**OPTIONS, **tags}.items():
            setting = self._settings.get(name)
            if setting is None:
                value = "<required>" if option.is_required else _shown(option.default)
            else:
                value = "****" if option.is_secret else _shown(setting.value)
            yield name, value, self.origin(name), option.text

    def explain(self) -> str:
        """Return a table of every property: its value, where it came from, and what it means."""
        rows = [("property", "value", "origin", "meaning"), *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]) for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or '""'
    if callable(value):
        return str(getattr(value, "__qualname__", repr(value)))
    return str(value) or '""'


def _flat(fields: Any) -> dict[str, object]:
    """Fields and the properties inside of them, as one mapping."""
    flat = {name: value for name, value in fields.items() if name != "properties"}
    for name, value in (fields.get("properties") or {}).items():
        if name in flat:
            raise ConfigError(f"{name} is given twice, as an argument and in properties: keep one")
        flat[name] = value
    return flat


def _read(values: Mapping[str, object], layer: Layer, origin: Any) -> dict[str, _Setting]:
    settings: dict[str, _Setting] = {}
    for name, raw in values.items():
        said = origin(name)
        try:
            option = lookup(name)
            if option.name in settings:
                raise ConfigError(f"{option.name} is given twice, once as {name}: keep one")
            # None in code is *not set*: `Streams(topology, client_id=os.environ.get("ID"))` is a common line.
            if raw is not None:
                settings[option.name] = _Setting(option.parse(raw), layer, said)
        except ConfigError as error:
            raise (error if layer is Layer.CODE else ConfigError(f"{said}: {error}")) from error.__cause__
    return settings


def _file_values(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            tree = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: it is no TOML: {error}") from None
    return dict(_leaves(tree, ""))


def _leaves(tree: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    # TOML reads `commit.interval.ms = 100` as tables within tables.
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _environment_values(prefix: str, environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Properties in the environment: variable to (field name, text)."""
    return {
        variable: (variable.removeprefix(prefix).lower(), text)
        for variable, text in sorted(environment.items())
        if variable.startswith(prefix)
    }
