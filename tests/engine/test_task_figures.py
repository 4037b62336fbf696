"""Which records a task looks at to know how old they are."""

from headrace.engine.task_figures import TaskFigures
from headrace.metrics.declaration import Level


def figures_at(now: list[int]) -> TaskFigures:
    return TaskFigures(lambda: now[0] / 1000, lambda: now[0], Level.INFO)


def test_each_of_several_inputs_is_looked_at_at_one_time() -> None:
    figures = figures_at([1_000])
    for source in ("clicks", "users"):
        figures.processed_one(source, 900, 1)
        figures.processed(f"short-{source}", [800], 0, 1, -1)
    assert {source: ages.count for source, ages in figures.ages.items()} == dict.fromkeys(
        ("clicks", "users", "short-clicks", "short-users"), 1
    )


def test_a_record_does_not_age_while_its_input_is_silent() -> None:
    now = [1_000]
    figures = figures_at(now)
    for now[0] in (1_000, 1_001, 5_000):
        figures.processed_one("clicks", 900, 1)
    assert (figures.ages["clicks"].count, figures.ages["clicks"].most) == (1, 100)
    figures.processed_one("clicks", 4_950, 2)
    assert figures.ages["clicks"].count == 2
