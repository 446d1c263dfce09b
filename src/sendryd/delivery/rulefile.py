"""The shaping rules of this process: those of the program, and the operator's file over them.

Reads: `shaping.toml` of this package, and the file that `SENDRYD_SHAPING_FILE` names, again when it has changed.
When things fail: a file that cannot be used leaves the rules as they were, and the log says why. At the start it stops the program.
"""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

from sendryd.policy.shaping.rules import EMPTY_RULES, Rules, RulesInvalid, read_rules
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

INTERVAL: Final = 1.0  # seconds between looks at the file: one call of the system
MAX_SIZE: Final = 1024 * 1024  # octets of a file: thousands of rules

log = get_logger("delivery")


class RuleFile:
    """The rules, and where they come from."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None  # of the file: time, size, inode
        self.rules = own_rules()

    def load(self) -> None:
        """Reads the operator's file. Raises `RulesInvalid`."""
        if self._path is not None:
            self._seen = self._look()
            self.rules = read_file(self._path)

    def reload_if_changed(self) -> bool:
        """True if there are other rules now. A file that cannot be used is logged once for each change of it."""
        if self._path is None or (look := self._look()) == self._seen:
            return False
        self._seen = look
        try:
            self.rules = read_file(self._path)
        except RulesInvalid as error:
            log.error("shaping_rules_not_reloaded", reason=str(error))
            return False
        log.info("shaping_rules_reloaded", path=str(self._path))
        return True

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None


class RuleKeeper:
    """Looks now and then whether the file has changed. `use` is given the new rules."""

    def __init__(self, file: RuleFile, use: Callable[[Rules], None], clock: Clock) -> None:
        self._file = file
        self._use = use
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            if self._file.reload_if_changed():
                self._use(self._file.rules)


def load_rules(path: Path | None) -> RuleFile:
    """The rules at the start. Raises `RulesInvalid`."""
    file = RuleFile(path)
    file.load()
    return file


def own_rules() -> Rules:
    """The rules of the program."""
    return read_rules(files(__package__).joinpath("shaping.toml").read_text("utf-8"), over=EMPTY_RULES)


def read_file(path: Path) -> Rules:
    """The rules of the program with those of a file over them. Raises `RulesInvalid`, which names the file."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE + 1)
        if len(text) > MAX_SIZE:
            raise RulesInvalid(f"{path}: it is larger than {MAX_SIZE} octets")
        return read_rules(text.decode("utf-8"), over=own_rules())
    except OSError as error:
        raise RulesInvalid(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RulesInvalid(f"{path}: it is not UTF-8") from None
    except RulesInvalid as error:
        raise error if str(error).startswith(str(path)) else RulesInvalid(f"{path}: {error}") from None
