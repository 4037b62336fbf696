"""What headrace uses of kafka-python: its messages and its logins, and nothing that it keeps to itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import headrace.kafka

_FOLDER = Path(headrace.kafka.__file__).parent

#: (module of kafka-python, what is used of it), beside messages: their classes are made of Kafka's own schemas.
USED = {
    ("kafka.net.sasl", "get_sasl_mechanism"),
    ("kafka.net.sasl.oauth", "AbstractTokenProvider"),
}

_OF_NAMED_TUPLES = {"_asdict", "_make", "_replace"}


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(_FOLDER.rglob("*.py")):
        yield file, ast.parse(file.read_text(), str(file))


def test_nothing_but_messages_and_logins_is_used() -> None:
    found = {
        (node.module, alias.name)
        for _, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kafka"
        for alias in node.names
        if not node.module.startswith("kafka.protocol.")
    }
    assert found == USED


def test_no_private_name_of_others_is_used() -> None:
    found = [
        f"{file.relative_to(_FOLDER)}:{node.lineno} {node.attr}"
        for file, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and node.attr not in _OF_NAMED_TUPLES
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert found == []
