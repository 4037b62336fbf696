"""How far the state is that lies here: what a member of a group tells its leader, by which tasks are placed."""

from collections.abc import Mapping

from headrace.base.ids import TaskId
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.standbys import Standbys
from headrace.group.user_data import TaskProgress
from headrace.state.state_directory import StateDirectory

__all__ = ["progress_of"]


def progress_of(
    directory: StateDirectory, changelog_reader: ChangelogReader, standbys: Standbys
) -> Mapping[TaskId, TaskProgress]:
    """Return the progress of all tasks of which there is state here, whoever runs them.

    How much one is behind is known of those that restore, and soon of those that are followed, which are left out until
    then. Those that run are at the end; of the others it is known to whoever runs them.
    """
    behind = {
        task_id: sum(store.lag.offset_lag for store in restoration.progress())
        for task_id, restoration in changelog_reader.under_way.items()
    }
    unknown = set()
    for task_id, lags in standbys.lags().items():
        known_lags = [lag.offset_lag for lag in lags.values() if lag is not None]
        if known_lags and len(known_lags) == len(lags):
            behind[task_id] = sum(known_lags)
        else:
            unknown.add(task_id)
    found: dict[TaskId, TaskProgress] = {}
    for task_id, positions in directory.positions().items():
        known = [position.offset for position in positions.values() if position is not None]
        if (known or task_id in behind) and task_id not in unknown:
            offset = sum(known)
            found[task_id] = TaskProgress(offset, offset + behind.get(task_id, 0))
    return found
