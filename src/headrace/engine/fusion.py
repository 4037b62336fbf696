"""Makes one loop of neighbouring nodes: stateless ones, called record by record with nothing between, and an end.

A node on its own costs a call with four arguments and its way back; in the loop it costs its function. The loop is
written as a program, since that is the only way to have no call: `source_of` shows it. What is left of a stretch goes
on as columns, or each record into the last step, which is in the loop as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from headrace.base.callables import pair, refuse_unstarted, truth
from headrace.base.columns import Stretch
from headrace.base.programs import made_by
from headrace.base.records import Headers
from headrace.processor.context import TaskContext
from headrace.topology.wiring import MISSING, Failed, ForwardStretch, LastStep, Step

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


def fuse(steps: Sequence[FusedStep], context: TaskContext, into: ForwardStretch | LastStep) -> ForwardStretch:
    """Make the function that takes a stretch through the steps, and what is left of it `into` what follows.

    A record goes through all steps before the next one sets out, so users' functions are called in the order of records
    that go one by one. What a failing function's handler resumes is dropped there.
    """
    names: dict[str, Any] = {f"f{at}": step.call for at, step in enumerate(steps)}
    names |= {"MISSING": MISSING, "context": context}
    names |= {"pair": pair, "refuse_unstarted": refuse_unstarted, "truth": truth}
    if isinstance(into, LastStep):

        def step_failed(
            at: int, error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers
        ) -> None:
            steps[at].failed(error, key, value, timestamp, headers)

        names["step_failed"] = step_failed
        clashing = sorted(name for name in names.keys() & into.names.keys() if name != "context")
        assert not clashing, f"the last step has names of the loop's: {clashing}"
        names |= {**into.names, **into.variables}
    elif not steps:
        return into
    else:

        def stretch_failed(
            at: int, error: BaseException, stretch: Stretch, index: int, key: Any, value: Any
        ) -> None:
            context.offset = stretch.offsets[index]
            steps[at].failed(error, key, value, stretch.timestamps[index], stretch.headers[index])

        names |= {"step_failed": stretch_failed, "into": into}
    last = into if isinstance(into, LastStep) else None
    nodes = [step.node for step in steps] if last is None else [*(step.node for step in steps), last.node]
    run: ForwardStretch = made_by(source_of(steps, last), " ".join(nodes), names)
    return run


def source_of(steps: Sequence[FusedStep], last: LastStep | None = None) -> str:
    """Write the program: `run(stretch)`."""
    return _into_columns(steps) if last is None else _into_last(steps, last)


def _into_columns(steps: Sequence[FusedStep]) -> str:
    kinds = {step.step for step in steps}
    new_key, new_value = kinds & _NEW_KEY, kinds & _NEW_VALUE
    lines = ["def run(stretch):", "    kept = []", "    keep = kept.append"]
    if new_key:
        lines += ["    keys = []", "    add_key = keys.append"]
    if new_value:
        lines += ["    values = []", "    add_value = values.append"]
    if Step.JOIN in kinds:
        # It warns of records that it drops, and says which.
        lines.append(
            "    for key, value, context.offset in zip(stretch.keys, stretch.values, stretch.offsets):"
        )
    else:
        lines.append("    for key, value in zip(stretch.keys, stretch.values):")
    lines += _tried(steps, drop="keep(False); continue")
    lines += [
        "        except BaseException as error:",
        "            step_failed(at, error, stretch, len(kept), key, value)",
        "            keep(False)",
        "            continue",
        "        keep(True)",
        *(["        add_key(key)"] if new_key else []),
        *(["        add_value(value)"] if new_value else []),
        f"    into(stretch.left(kept{', keys=keys' if new_key else ''}{', values=values' if new_value else ''}))",
    ]
    return "\n".join(lines) + "\n"


def _into_last(steps: Sequence[FusedStep], last: LastStep) -> str:
    lines = ["def run(stretch):"]
    if last.variables:
        lines.append(f"    nonlocal {', '.join(last.variables)}")
    lines.append("    for key, value, timestamp, headers, context.offset in stretch.records():")
    if steps:
        lines += _tried(steps, drop="continue")
        lines += [
            "        except BaseException as error:",
            "            step_failed(at, error, key, value, timestamp, headers)",
            "            continue",
        ]
    lines.append(f"        # {last.node!r}\n")
    return "\n".join(lines) + indent(last.body, " " * 8)


def _tried(steps: Sequence[FusedStep], *, drop: str) -> list[str]:
    lines = ["        try:"]
    for at, step in enumerate(steps):
        lines += [f"            # {step.node!r}", f"            at = {at}"]
        lines.append(_INDENT + _STATEMENTS[step.step].format(call=f"f{at}", indent=_INDENT, drop=drop))
    return lines
