"""What happens to all stores: commits, aborts, crashes, lost disks. For state machines that know what is to be left."""

import shutil
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.state.stores import Stores

__all__ = ["CrashingMachine"]


class CrashingMachine(RuleBasedStateMachine):
    """A machine over `stores`, whose database is `db` in `folder`. Who derives it has a model of them."""

    folder: Path
    stores: Stores

    def remember(self) -> None:
        """Note the model as it is: it is committed."""
        raise NotImplementedError

    def go_back(self) -> None:
        """Take the model back to what was noted last: so the stores have just been."""
        raise NotImplementedError

    def look(self) -> None:
        """Check what can be seen only before it is gone, or once it is committed."""

    def teardown(self) -> None:
        self.stores.close()
        assert self.stores.cache.used_bytes == 0
        shutil.rmtree(self.folder)

    @rule()
    def commit(self) -> None:
        self.stores.commit()
        self.remember()
        self.look()
        assert self.stores.state.buffered_bytes == 0

    @rule()
    def abort(self) -> None:
        self.look()
        self.stores.abort()
        self.go_back()

    @rule()
    def crash(self) -> None:
        self.look()
        self.stores.crash()
        self.go_back()

    @rule()
    def crash_within_commit(self) -> None:
        """The log has it, the database does not."""
        self.stores.commit_log()
        self.remember()
        self.crash()

    @rule()
    def lose_the_disk(self) -> None:
        self.look()
        self.stores.close()
        shutil.rmtree(self.folder / "db", ignore_errors=True)
        self.stores.open()
        self.stores.catch_up()
        self.go_back()
