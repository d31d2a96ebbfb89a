"""Keeps the states of a measurement: writes generations, finds the one to continue from, remembers what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import __version__
from .checkpoint import Cost, Part, save
from .config import Config
from .generations import CLOCK
from .restart import Found, Header, Present, Start, find_state, holds_only
from .store import keep_existing
from .stream.block import Integers
from .stream.communicator import Communicator

#: Names this process in the states that it writes.
PROCESS = uuid.uuid4().hex


class Keeper:
    """The states of one measurement. Its methods are collective, but for :meth:`keep_existing`.

    Parameters
    ----------
    results : path of the results file, beside which the states are
    notices : gets lines for the log

    Attributes
    ----------
    name : of the measurement: the same in all that continues it
    continued : what is continued, None for a new measurement; new_stretch : the first sample to come does not follow
        its last one
    cost : what writing the last state took
    """

    def __init__(self, config: Config, results: Path, comm: Communicator, notices: list[str]) -> None:
        self._config, self._results, self._comm, self._notices = config, results, comm, notices
        self._process: str = comm.share(PROCESS)
        self._newest = (0, "", "")  # samples, kind and name of a state
        self._replay = False
        self.name: str = comm.share(uuid.uuid4().hex)
        self.continued: Header | None = None
        self.new_stretch = False
        self.cost: Cost | None = None

    def find(self, start: Start, present: Present) -> Found | None:
        """The state that a run continues from: see :func:`~lammps_topo.restart.find_state`."""
        self._replay = start.replay
        return find_state(self._comm, self._results, start, present, self._process, self._notices)

    def restore(self, found: Found, parts: Mapping[str, Part], tags: Mapping[str, Integers]) -> None:
        """Continue from a state: give all ``parts`` back their memory."""
        try:
            found.restore(parts, tags)
        finally:
            found.close()
        header = self.continued = found.header
        self.name, self.new_stretch = header.measurement, found.new_stretch
        self._newest = (header.samples, header.kind, header.id)
        self._notices.append(
            f"the measurement continues: {header.samples} samples until step {header.step} from {found.path}"
        )

    def save(self, kind: str, says: Mapping[str, Any], parts: Mapping[str, Part], tags: Mapping[str, Integers]) -> str:
        """Write a generation, unless the newest has all samples; its name, empty if none is written.

        ``says`` are those fields of :class:`~lammps_topo.restart.Header` that the measurement knows.
        """
        samples, of_kind, name = self._newest
        if samples == says["samples"] and (of_kind != CLOCK or kind == CLOCK):
            return name
        header = Header(
            id=self._comm.share(uuid.uuid4().hex),
            measurement=self.name,
            process=self._process,
            kind=kind,
            ranks=self._comm.size,
            config=self._config.model_dump(mode="json"),
            replay=self._replay,
            history=self.history,
            written=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            lammps_topo=__version__,
            **says,
        )
        outcome = save(self._comm, self._results, header.model_dump(), parts, tags, self._config.generations)
        if isinstance(outcome, Cost):
            self.cost, self._newest = outcome, (header.samples, kind, header.id)
            return header.id
        if outcome is not None:
            self._notices.append(f"WARNING: the state of step {header.step} is not kept: {outcome}")
        return ""

    @property
    def history(self) -> list[dict[str, Any]]:
        """Where the measurement was continued."""
        if self.continued is None:
            return []
        last = {"step": self.continued.step, "ranks": self.continued.ranks, "written": self.continued.written}
        return [*self.continued.history, last]

    def provenance(self) -> dict[str, Any]:
        """What is said in the results file."""
        found: dict[str, Any] = {"measurement": self.name}
        if self.history:
            found["continued"] = self.history
        if self.cost is not None:
            found["state"] = {"seconds": round(self.cost.seconds, 3), "bytes": self.cost.size}
        return found

    def keep_existing(self) -> Path | None:
        """Move an earlier results file out of the way, unless what is in it will be in the new one, too."""
        if self.continued is not None and holds_only(self._results, self.continued):
            return None
        return keep_existing(self._results)
