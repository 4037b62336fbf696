"""What CONTRIBUTING.md says of modules and functions, where ruff does not look: their length, and their docstrings."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "headrace"
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

#: Modules that are longer, each with its reason. One that is short enough again goes from here.
LONG_MODULES = {
    "dsl/kstream.py": "one class of signatures: what a method does, it leads to, and type checkers need each overload",
    "kafka/transaction/machine.py": "one machine, whose states and events are told in one place",
}
#: Functions that are longer.
LONG_FUNCTIONS = {
    "engine/worker_building.py: _parts": "puts the parts together, and names each once",
    "engine/worker_building.py: build_worker": "the same, of what is opened",
    "kafka/produce/writer.py: __init__": "puts the machines together, and gives each its errors' words",
}


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return {path.relative_to(SOURCE).as_posix(): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}


@pytest.fixture(scope="module")
def trees(modules: dict[str, str]) -> dict[str, ast.Module]:
    return {module: ast.parse(source) for module, source in modules.items()}


def long_functions(tree: ast.Module) -> Iterator[str]:
    """The names of functions that are too long. What a docstring says is no reason to cut a function in two."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0] if ast.get_docstring(node) else None
            docstring = told.end_lineno - told.lineno + 1 if told and told.end_lineno else 0
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 - docstring > FUNCTION_LINES_MAX:
                yield node.name


def test_a_module_says_what_it_is(trees: dict[str, ast.Module]) -> None:
    assert [module for module, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_a_module_is_short_or_has_a_reason_not_to_be(modules: dict[str, str]) -> None:
    found = {module for module, source in modules.items() if len(source.splitlines()) > MODULE_LINES_MAX}
    assert found - LONG_MODULES.keys() == set()


def test_a_function_is_short_or_has_a_reason_not_to_be(trees: dict[str, ast.Module]) -> None:
    found = {f"{module}: {name}" for module, tree in trees.items() for name in long_functions(tree)}
    assert found - LONG_FUNCTIONS.keys() == set()


def test_the_docstring_counts_not_towards_a_functions_length() -> None:
    lines = "\n".join(["    pass"] * 59)
    assert list(long_functions(ast.parse(f"def f():\n{lines}"))) == []
    assert list(long_functions(ast.parse(f'def f():\n    """A.\n\n    B.\n    """\n{lines}'))) == []
    assert list(long_functions(ast.parse(f"def f():\n{lines}\n    pass"))) == ["f"]
