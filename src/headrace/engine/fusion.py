"""Makes one loop of neighbouring nodes: stateless ones, record by record with nothing between, and an aggregation.

A node on its own costs a call with four arguments and its way back; in the loop it costs its function, and where that
is an expression, not even a call. The loop is written as a program, since that is the only way to have no call:
`source_of` shows it. What is left of a stretch goes on as columns. An aggregation stands in the loop too: as its end
where a cache holds its updates back, else as a step among the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from headrace.base.callables import pair, refuse_unstarted, truth
from headrace.base.columns import Stretch
from headrace.base.programs import inlinable, made_by
from headrace.base.records import Headers
from headrace.processor.context import TaskContext
from headrace.topology.wiring import (
    INNER_NEXT,
    MISSING,
    Failed,
    ForwardStretch,
    InnerStep,
    LastStep,
    Step,
)

__all__ = ["FusedStep", "fuse", "source_of"]

#: What each step does with `key` and `value`; `{call}` is the user's function, `{drop}` leaves the record out.
_STATEMENTS = {
    # A result of None, True or False is judged here; what is rarer, by a function.
    Step.LOOK: "result = {call}(key, value)\n{indent}if result is not None: refuse_unstarted(result)",
    Step.KEEP: "passes = {call}(key, value)\n"
    "{indent}if passes is not True and (passes is False or not truth(passes)): {drop}",
    Step.KEEP_NOT: "passes = {call}(key, value)\n"
    "{indent}if passes is not False and (passes is True or truth(passes)): {drop}",
    Step.KEEP_KEYED: "if key is None: {drop}",
    Step.KEY: "key = {call}(key, value)",
    Step.VALUE: "value = {call}(value)",
    Step.VALUE_WITH_KEY: "value = {call}(key, value)",
    Step.PAIR: "result = {call}(key, value)\n"
    "{indent}key, value = result if type(result) is tuple else pair(result)",
    Step.JOIN: "value = {call}(key, value)\n{indent}if value is MISSING: {drop}",
}
#: The same of a function that is one expression: `{does}` stands in the place of the call.
_INLINED = {
    Step.KEEP: "if not {does}: {drop}",
    Step.KEEP_NOT: "if {does}: {drop}",
    Step.KEY: "key = {does}",
    Step.VALUE: "value = {does}",
    Step.VALUE_WITH_KEY: "value = {does}",
}
_NEW_KEY = frozenset({Step.KEY, Step.PAIR})
_NEW_VALUE = frozenset({Step.VALUE, Step.VALUE_WITH_KEY, Step.PAIR, Step.JOIN})
_INDENT = " " * 12


@dataclass(frozen=True, slots=True)
class FusedStep:
    """A node of the loop: its name, what it does, the function, and who hears of the function's failures."""

    node: str
    step: Step
    call: Any
    failed: Failed


def fuse(
    steps: Sequence[FusedStep | InnerStep], context: TaskContext, into: ForwardStretch | LastStep
) -> ForwardStretch:
    """Make the function that takes a stretch through the steps, and what is left of it `into` what follows.

    A record goes through all steps before the next one sets out, so users' functions are called in the order of records
    that go one by one. What a failing function's handler resumes is dropped there. Of steps and end together, one at
    most is given as statements.
    """
    if not steps and not isinstance(into, LastStep):
        return into
    written = next((step for step in (*steps, into) if isinstance(step, InnerStep | LastStep)), None)
    names: dict[str, Any] = {}
    for at, step in enumerate(steps):
        if isinstance(step, FusedStep):
            inlined = _inlined(at, step)
            names |= {f"f{at}": step.call} if inlined is None else inlined[1]
    names |= {"MISSING": MISSING, "context": context}
    names |= {"pair": pair, "refuse_unstarted": refuse_unstarted, "truth": truth}
    names["step_failed"] = _failures(steps, context, knows_all=written is not None)
    if not isinstance(into, LastStep):
        names["into"] = into
    if written is not None:
        clashing = sorted(name for name in names.keys() & written.names.keys() if name != "context")
        assert not clashing, f"{written.node} has names of the loop's: {clashing}"
        names |= {**written.names, **written.variables}
    last = into if isinstance(into, LastStep) else None
    nodes = [step.node for step in steps] if last is None else [*(step.node for step in steps), last.node]
    run: ForwardStretch = made_by(source_of(steps, last), " ".join(nodes), names)
    return run


def _failures(
    steps: Sequence[FusedStep | InnerStep], context: TaskContext, *, knows_all: bool
) -> Callable[..., None]:
    """Make what hears of a function's failure: of all parts of the record, or of its place in the stretch."""
    failed = [step.failed if isinstance(step, FusedStep) else None for step in steps]

    def tell(at: int, error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        told = failed[at]
        assert told is not None, "what is given as statements tells of its failures itself"
        told(error, key, value, timestamp, headers)

    def find(at: int, error: BaseException, stretch: Stretch, index: int, key: Any, value: Any) -> None:
        context.offset = stretch.offsets[index]
        tell(at, error, key, value, stretch.timestamps[index], stretch.headers[index])

    return tell if knows_all else find


def source_of(steps: Sequence[FusedStep | InnerStep], last: LastStep | None = None) -> str:
    """Write the program: `run(stretch)`."""
    return _into_columns(steps) if last is None else _into_last(steps, last)


def _into_columns(steps: Sequence[FusedStep | InnerStep]) -> str:
    kinds = {step.step for step in steps if isinstance(step, FusedStep)}
    inner = next((step for step in steps if isinstance(step, InnerStep)), None)
    columns = [
        *(["key"] if kinds & _NEW_KEY or inner is not None else []),
        *(["value"] if kinds & _NEW_VALUE or inner is not None else []),
        *(["timestamp"] if inner is not None else []),
    ]
    lines = ["def run(stretch):", *_assigned(inner), "    kept = []", "    keep = kept.append"]
    for each in columns:
        lines += [f"    {each}s = []", f"    add_{each} = {each}s.append"]
    failure = "step_failed(at, error, stretch, len(kept), key, value)"
    if inner is not None:
        failure = "step_failed(at, error, key, value, timestamp, headers)"
        lines.append("    for key, value, timestamp, headers, context.offset in stretch.records():")
    elif Step.JOIN in kinds:
        # It warns of records that it drops, and says which.
        lines.append(
            "    for key, value, context.offset in zip(stretch.keys, stretch.values, stretch.offsets):"
        )
    else:
        lines.append("    for key, value in zip(stretch.keys, stretch.values):")
    lines += _looped(steps, drop=INNER_NEXT.strip(), failure=failure)
    lines.append("        keep(True)")
    lines += [f"        add_{each}({each})" for each in columns]
    given = "".join(f", {each}s={each}s" for each in columns)
    lines.append(f"    into(stretch.left(kept{given}))")
    return "\n".join(lines) + "\n"


def _into_last(steps: Sequence[FusedStep | InnerStep], last: LastStep) -> str:
    lines = ["def run(stretch):", *_assigned(last)]
    lines.append("    for key, value, timestamp, headers, context.offset in stretch.records():")
    lines += _looped(steps, drop="continue", failure="step_failed(at, error, key, value, timestamp, headers)")
    lines.append(f"        # {last.node!r}\n")
    return "\n".join(lines) + indent(last.body, " " * 8)


def _assigned(written: InnerStep | LastStep | None) -> list[str]:
    return [f"    nonlocal {', '.join(written.variables)}"] if written and written.variables else []


def _looped(steps: Sequence[FusedStep | InnerStep], *, drop: str, failure: str) -> list[str]:
    """Write the steps one after the other, those that call functions within as few `try` as there can be."""
    lines: list[str] = []
    is_trying = False
    for at, step in enumerate(steps):
        if isinstance(step, InnerStep):
            lines += _caught(failure, drop) if is_trying else []
            lines += [f"        # {step.node!r}", indent(step.body, " " * 8).rstrip("\n")]
            is_trying = False
            continue
        if not is_trying:
            lines.append("        try:")
        is_trying = True
        lines += [f"            # {step.node!r}", f"            at = {at}"]
        inlined = _inlined(at, step)
        if inlined is not None:
            lines.append(_INDENT + _INLINED[step.step].format(does=inlined[0], drop=drop))
        else:
            lines.append(_INDENT + _STATEMENTS[step.step].format(call=f"f{at}", indent=_INDENT, drop=drop))
    return lines + (_caught(failure, drop) if is_trying else [])


def _inlined(at: int, step: FusedStep) -> tuple[str, Mapping[str, Any]] | None:
    """Return what a step's function consists of, and its names; None where it has to be called."""
    written = inlinable(step.call) if step.step in _INLINED else None
    return None if written is None else written.write(f"f{at}_")


def _caught(failure: str, drop: str) -> list[str]:
    return ["        except BaseException as error:", f"            {failure}", f"            {drop}"]
