"""The results file while its measurement lasts: claimed, written when that is worth the time, and given free."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import Config
from .errors import TopoError
from .estimate.charge_outcome import verdict_lines
from .estimate.loop_results import loop_lines
from .estimate.result import Outcome
from .estimate.summary import estimate
from .lock import Lock, claim
from .record import Record
from .store import write_results
from .stream.communicator import Communicator

#: Runs that together last less than this many times the writing of a results file share one.
_PATIENCE = 20.0
#: Results files of the measurements of this process.
_open_files: dict[Path, Lock | None] = {}


class ResultsFile:
    """The file of one measurement. Its methods are collective.

    Parameters
    ----------
    notices : gets lines for the log

    Attributes
    ----------
    outdated : whether the file lacks something; the measurement says when it does

    Raises
    ------
    ConfigError
        It cannot be written, or somebody else writes to it.
    """

    def __init__(self, path: Path, config: Config, comm: Communicator, notices: list[str]) -> None:
        self.path = path
        self._config, self._comm, self._notices = config, comm, notices
        self._said: frozenset[str] = frozenset()  # verdicts that are in the log
        self._written, self._seconds = -math.inf, 0.0
        self.outdated = False
        _open_files[path.absolute()] = claim(comm, path, notices)

    def due(self, urgent: bool) -> bool:
        """Whether to write now: that is ``urgent``, or long enough ago that it takes little of the time."""
        waited = time.monotonic() - self._written
        due: bool = self._comm.share(urgent or waited >= _PATIENCE * self._seconds)
        return due

    def write(self, record: Record | None, provenance: Mapping[str, Any], since: float) -> str | None:
        """Estimate from the ``record`` of rank 0, and write; returns the problem, the same on all ranks.

        ``since`` is when the work for it began, on the monotonic clock.
        """
        problem = None
        if record is not None:
            try:
                outcome = estimate(record, self._config)
                write_results(self.path, record, outcome, self._config, provenance)
                self._say(outcome)
            except (TopoError, OSError) as error:
                problem = f"the results file '{self.path}' cannot be written: {error}"
            except Exception:  # whatever it is, the other ranks must not wait for ever
                problem = f"the results file '{self.path}' cannot be written: {traceback.format_exc(limit=-2)}"
        self._written = time.monotonic()
        self._seconds = self._written - since
        shared: str | None = self._comm.share(problem)
        self.outdated = shared is not None
        return shared

    def _say(self, outcome: Outcome) -> None:
        """Verdicts are said once, as long as they stay: the numbers that follow the last comma may change."""
        verdicts = {line.rpartition(",")[0]: line for line in verdict_lines(outcome)}
        verdicts |= {line: line for line in loop_lines(outcome)}
        self._notices.extend(line for verdict, line in verdicts.items() if verdict not in self._said)
        self._said = frozenset(verdicts)

    def release(self) -> None:
        """Give the name of the file free."""
        if (lock := _open_files.pop(self.path.absolute(), None)) is not None:
            lock.release()
