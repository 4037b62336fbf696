"""The reference of errors, as the tree that they are: each class says what happens next."""

import inspect

from headrace.base import errors

__all__ = ["classes", "page"]

_INTRODUCTION = """\
# Errors

All errors that headrace raises on purpose are below `HeadraceError`. Those that programs are likely to catch are in `headrace`
itself, the others in `headrace.base.errors`. Each message says what was attempted, what was found, and what to do.
[What can fail](../failures.md) tells what happens to an application at each.

"""


def classes() -> list[type[Exception]]:
    """Every class of the tree, parents before their children."""
    found: list[type[Exception]] = [errors.HeadraceError]

    def below(parent: type[Exception]) -> None:
        for child in sorted(parent.__subclasses__(), key=lambda each: each.__name__):
            if child.__module__ == errors.__name__ and child not in found:
                found.append(child)
                below(child)

    below(errors.HeadraceError)
    return found


def page() -> str:
    """Return the page, in Markdown."""
    tree = [_line(each) for each in classes()]
    parts = [_INTRODUCTION, *tree]
    for each in classes():
        parts.append(
            f"\n## {each.__name__}\n\n```{{eval-rst}}\n.. autoexception:: {_name(each)}\n   :show-inheritance:\n```\n"
        )
    return "".join(parts)


def _line(each: type[Exception]) -> str:
    depth = [base for base in inspect.getmro(each) if base.__module__ == errors.__name__]
    first = inspect.getdoc(each)
    assert first is not None
    return (
        f"{'  ' * (len(depth) - 1)}- [`{each.__name__}`](#{each.__name__.lower()}): {first.splitlines()[0]}\n"
    )


def _name(each: type[Exception]) -> str:
    import headrace

    return (
        f"headrace.{each.__name__}"
        if each.__name__ in headrace.__all__
        else f"headrace.base.errors.{each.__name__}"
    )
