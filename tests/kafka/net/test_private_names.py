"""What headrace uses of kafka-python beyond its documented interface. All of it is listed here, and is still there.

kafka-python is pinned exactly for this: what it does not document it may change in any release. To raise the pin, run
the tests with the new one, and look at what it has done to each of these names.
"""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import headrace.kafka

_FOLDER = Path(headrace.kafka.__file__).parent

#: (module of kafka-python, what is used of it). Requests and answers are left out: their classes are made of Kafka's
#: own schemas.
USED = {
    ("kafka.errors", "IncompatibleBrokerVersion"),
    ("kafka.errors", "KafkaTimeoutError"),
    ("kafka.errors", "RequestTimedOutError"),
    ("kafka.net.connection", "KafkaConnection"),
    ("kafka.net.connection", "KafkaConnection._get_api_versions"),
    ("kafka.net.connection", "KafkaConnection._maybe_throttle"),
    ("kafka.net.connection", "KafkaConnection._reauth"),
    ("kafka.net.connection", "KafkaConnection._sasl_authenticate"),
    ("kafka.net.connection", "KafkaConnection._send_request"),
    ("kafka.net.connection", "KafkaConnection._timeout_at"),
    ("kafka.net.sasl", "get_sasl_mechanism"),
    ("kafka.net.sasl.oauth", "AbstractTokenProvider"),
    ("kafka.net.selector", "NetworkSelector"),
    ("kafka.net.transport", "KafkaTCPTransport"),
    ("kafka.net.transport", "KafkaTCPTransport._closed"),
    ("kafka.net.transport", "KafkaTCPTransport._net"),
    ("kafka.net.transport", "KafkaTCPTransport._protocol"),
    ("kafka.net.transport", "KafkaTCPTransport._read"),
    ("kafka.net.transport", "KafkaTCPTransport._read_from_sock"),
    ("kafka.net.transport", "KafkaTCPTransport._sock"),
    ("kafka.net.transport", "KafkaTCPTransport._sock_send"),
    ("kafka.net.transport", "KafkaTCPTransport._write"),
    ("kafka.net.transport", "KafkaTCPTransport._write_buffer"),
    ("kafka.net.transport", "KafkaTCPTransport._write_task"),
    ("kafka.net.transport", "KafkaTCPTransport._write_to_sock"),
    ("kafka.net.transport", "KafkaTCPTransport._writing"),
    ("kafka.protocol.api_message", "ApiMessage._header"),
    ("kafka.protocol.api_message", "ApiMessage._max_version"),
    ("kafka.protocol.api_message", "ApiMessage._min_version"),
    ("kafka.protocol.parser", "KafkaProtocol._process_response"),
}

#: Values that are handed to us, by the name of what is looked at.
_MESSAGE = ("kafka.protocol.api_message", "ApiMessage")

_OF_NAMED_TUPLES = {"_make", "_replace"}


def _trees() -> Iterator[ast.Module]:
    for file in sorted(_FOLDER.rglob("*.py")):
        yield ast.parse(file.read_text(), str(file))


def _imported(tree: ast.Module) -> dict[str, str]:
    """Names that a module takes from kafka-python, with the modules that they come from."""
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kafka"
        for alias in node.names
    }


def _private(node: ast.AST) -> Iterator[tuple[bool, str]]:
    """Private attributes, and whether they are of `self`; methods that a class defines count as well."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and re.match(r"_[a-z]", each.attr):
            yield _is_self(each.value), each.attr
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and re.match(r"_[a-z]", each.name):
            yield True, each.name


def _is_self(value: ast.expr) -> bool:
    called = value.func if isinstance(value, ast.Call) else value
    return isinstance(called, ast.Name) and called.id in ("self", "super")


def _has(owner: type, name: str) -> bool:
    """Whether a class, or one above it, has a private name: as a member, or as what its methods set."""
    return hasattr(owner, name) or any(
        re.search(rf"self\.{name}\b[^=\n]*=[^=]", inspect.getsource(each))
        for each in owner.__mro__
        if each.__module__.startswith("kafka.")
    )


def _found() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for tree in _trees():
        imported = _imported(tree)
        found |= {
            (module, name) for name, module in imported.items() if not module.startswith("kafka.protocol.")
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in imported:
                    owner = getattr(importlib.import_module(imported[base.id]), base.id)
                    found |= {
                        (imported[base.id], f"{base.id}.{name}")
                        for is_self, name in _private(node)
                        if is_self and _has(owner, name)
                    }
        found |= {
            (_MESSAGE[0], f"{_MESSAGE[1]}.{name}")
            for is_self, name in _private(tree)
            if not is_self and name not in _OF_NAMED_TUPLES
        }
    return found


def test_every_private_name_in_use_is_listed() -> None:
    assert _found() == USED


def test_every_private_name_in_use_is_there() -> None:
    for module, name in sorted(USED):
        owner, _, attribute = name.partition(".")
        found = getattr(importlib.import_module(module), owner)
        assert not attribute or _has(found, attribute), f"kafka-python has no {module}.{name} any more"


def test_kafka_python_is_pinned_exactly() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (pin,) = [each for each in project["dependencies"] if each.startswith("kafka-python")]
    assert re.fullmatch(r"kafka-python==[0-9.]+", pin)
