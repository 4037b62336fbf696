"""The text of a .proto file, made of a descriptor: a generated class knows its file, but not what was written there.

Kept is all that bytes depend on, and the options that name packages of other languages. Comments are not in a
descriptor, and options of one's own are left out.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        ServiceDescriptorProto,
    )

__all__ = ["is_printable", "proto_text"]

# By the numbers of `FieldDescriptorProto.Type` and `.Label`.
_GROUP: Final = 10
_TYPES: Final = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}
_OPTIONAL, _REQUIRED, _REPEATED = 1, 2, 3

#: The highest number of a field, plus one: the end of an open range.
_RANGE_END: Final = 536870912

_FILE_OPTIONS: Final = (
    "java_package",
    "java_outer_classname",
    "java_multiple_files",
    "go_package",
    "csharp_namespace",
    "objc_class_prefix",
    "php_namespace",
    "ruby_package",
)


def is_printable(file: "FileDescriptorProto") -> bool:
    """Whether the text of a file says all of it: there are no editions, whose features change what bytes mean."""
    return file.syntax in {"", "proto2", "proto3"}


def proto_text(file: "FileDescriptorProto") -> str:
    """Return the text of a file.

    Raises:
        TypeError: it is of an edition.
    """
    if not is_printable(file):
        raise TypeError(
            f"{file.name} is of an edition of Protobuf, whose text cannot be made of its class: register the schema, "
            "and use use_latest=True or use_id="
        )
    return _Printer(file).text()


class _Printer:
    def __init__(self, file: "FileDescriptorProto") -> None:
        self._file = file
        self._is_proto3 = file.syntax == "proto3"
        self._lines: list[str] = []
        # Names that are looked for before a package of that name is.
        self._nearer = {*file.package.split(".")[1:], *_message_names(file.message_type)}

    def text(self) -> str:
        file = self._file
        self._put(0, f'syntax = "{file.syntax or "proto2"}";')
        if file.package:
            self._put(0, f"package {file.package};")
        public = set(file.public_dependency)
        for index, name in enumerate(file.dependency):
            self._put(0, f"import {'public ' if index in public else ''}{_quoted(name)};")
        for name in _FILE_OPTIONS:
            if file.options.HasField(name):  # type: ignore[arg-type]  # names of the table above
                self._put(0, f"option {name} = {_constant(getattr(file.options, name))};")
        for message in file.message_type:
            self._message(0, message)
        for enum in file.enum_type:
            self._enum(0, enum)
        self._extensions(0, file.extension)
        for service in file.service:
            self._service(service)
        return "\n".join(self._lines) + "\n"

    def _put(self, depth: int, line: str) -> None:
        self._lines.append("  " * depth + line)

    def _message(self, depth: int, message: "DescriptorProto") -> None:
        self._put(depth, f"message {message.name} {{")
        self._body(depth + 1, message)
        self._put(depth, "}")

    def _body(self, depth: int, message: "DescriptorProto") -> None:
        entries = {each.name: each for each in message.nested_type if each.options.map_entry}
        groups = {each.type_name.rpartition(".")[2] for each in message.field if each.type == _GROUP}
        if message.options.deprecated:
            self._put(depth, "option deprecated = true;")
        for message_field in message.field:
            if not self._is_in_oneof(message_field):
                self._field(depth, message_field, message, entries)
        for index, oneof in enumerate(message.oneof_decl):
            members = [
                each for each in message.field if self._is_in_oneof(each) and each.oneof_index == index
            ]
            if members:
                self._put(depth, f"oneof {oneof.name} {{")
                for member in members:
                    self._field(depth + 1, member, message, entries)
                self._put(depth, "}")
        for nested in message.nested_type:
            if nested.name not in entries and nested.name not in groups:
                self._message(depth, nested)
        for enum in message.enum_type:
            self._enum(depth, enum)
        self._reserved(
            depth, [(each.start, each.end) for each in message.reserved_range], message.reserved_name
        )
        for extended in message.extension_range:
            self._put(depth, f"extensions {_span(extended.start, extended.end)};")
        self._extensions(depth, message.extension)

    @staticmethod
    def _is_in_oneof(field: "FieldDescriptorProto") -> bool:
        return field.HasField("oneof_index") and not field.proto3_optional

    def _field(
        self,
        depth: int,
        field: "FieldDescriptorProto",
        message: "DescriptorProto | None",
        entries: "dict[str, DescriptorProto]",
    ) -> None:
        entry = entries.get(field.type_name.rpartition(".")[2]) if field.label == _REPEATED else None
        if entry is not None:
            key, value = entry.field
            label, kind = "", f"map<{self._type_name(key)}, {self._type_name(value)}>"
        else:
            label, kind = self._label(field), self._type_name(field)
        head = f"{label}{kind} {field.name} = {field.number}{_field_options(field)}"
        if field.type != _GROUP:
            self._put(depth, f"{head};")
            return
        name = field.type_name.rpartition(".")[2]
        self._put(depth, f"{label}group {name} = {field.number} {{")
        for nested in () if message is None else message.nested_type:
            if nested.name == name:
                self._body(depth + 1, nested)
        self._put(depth, "}")

    def _type_name(self, field: "FieldDescriptorProto") -> str:
        """Return the type as people write it: without the dot before a full name, where none is in its way."""
        if not field.type_name:
            return _TYPES[field.type]
        first, *_ = field.type_name[1:].split(".")
        is_clear = first not in self._nearer or not self._file.package
        return field.type_name[1:] if is_clear else field.type_name

    def _label(self, field: "FieldDescriptorProto") -> str:
        if field.label == _REPEATED:
            return "repeated "
        if field.label == _REQUIRED:
            return "required "
        if self._is_in_oneof(field) or (self._is_proto3 and not field.proto3_optional):
            return ""
        return "optional "

    def _enum(self, depth: int, enum: "EnumDescriptorProto") -> None:
        self._put(depth, f"enum {enum.name} {{")
        if enum.options.allow_alias:
            self._put(depth + 1, "option allow_alias = true;")
        for value in enum.value:
            deprecated = " [deprecated = true]" if value.options.deprecated else ""
            self._put(depth + 1, f"{value.name} = {value.number}{deprecated};")
        # Unlike those of messages, ranges of an enumeration have their end in them.
        ranges = [(each.start, each.end + 1) for each in enum.reserved_range]
        self._reserved(depth + 1, ranges, enum.reserved_name)
        self._put(depth, "}")

    def _reserved(self, depth: int, ranges: Iterable[tuple[int, int]], names: Iterable[str]) -> None:
        if spans := ", ".join(_span(start, end) for start, end in ranges):
            self._put(depth, f"reserved {spans};")
        if said := ", ".join(map(_quoted, names)):
            self._put(depth, f"reserved {said};")

    def _extensions(self, depth: int, fields: "Iterable[FieldDescriptorProto]") -> None:
        for field in fields:
            self._put(depth, f"extend {field.extendee} {{")
            self._field(depth + 1, field, None, {})
            self._put(depth, "}")

    def _service(self, service: "ServiceDescriptorProto") -> None:
        self._put(0, f"service {service.name} {{")
        for method in service.method:
            asked = f"{'stream ' if method.client_streaming else ''}{method.input_type}"
            answered = f"{'stream ' if method.server_streaming else ''}{method.output_type}"
            self._put(1, f"rpc {method.name} ({asked}) returns ({answered});")
        self._put(0, "}")


def _span(start: int, end: int) -> str:
    if end in {_RANGE_END, 2**31}:
        return f"{start} to max"
    return str(start) if end == start + 1 else f"{start} to {end - 1}"


def _message_names(messages: "Iterable[DescriptorProto]") -> Iterator[str]:
    for message in messages:
        yield message.name
        yield from _message_names(message.nested_type)


def _field_options(field: "FieldDescriptorProto") -> str:
    found = list(_options(field))
    return f" [{', '.join(found)}]" if found else ""


def _options(field: "FieldDescriptorProto") -> Iterator[str]:
    if field.HasField("default_value"):
        yield f"default = {_default(field)}"
    if field.HasField("json_name") and field.json_name != _json_name(field.name):
        yield f"json_name = {_quoted(field.json_name)}"
    if field.options.HasField("packed"):
        yield f"packed = {_constant(field.options.packed)}"
    if field.options.deprecated:
        yield "deprecated = true"


def _default(field: "FieldDescriptorProto") -> str:
    if _TYPES.get(field.type) == "string":
        return _quoted(field.default_value)
    if _TYPES.get(field.type) == "bytes":
        return f'"{field.default_value}"'  # it is escaped as it stands in a descriptor
    return field.default_value


def _json_name(name: str) -> str:
    """Return the name that a field has in JSON by itself: Protobuf's own rule."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _constant(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else _quoted(str(value))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
