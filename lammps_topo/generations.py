"""Generations of the state: NAME.state.h5 is the newest, NAME.state.1.h5 the one before it, and so on.

Each is a whole state of its own. Those made at the end of a run, with a LAMMPS restart file, or at steps that the user
chose can be continued from; those that only the clock asked for hardly ever fit a LAMMPS restart file, and go first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from .errors import FileError
from .state_file import StateFile

#: The kind of a generation that only the clock asked for.
CLOCK = "clock"


def state_path(results: Path) -> Path:
    """Where the newest state of the measurement with this results file is: NAME.topo.h5 has NAME.state.h5."""
    name = results.name.removesuffix(".h5").removesuffix(".topo")
    return results.with_name(f"{name}.state.h5")


def temporary_path(results: Path) -> Path:
    """Where a state is written before it gets its name; what a killed run left there is written over."""
    return results.with_name(f".{state_path(results).name}.new")


def generations(results: Path) -> list[Path]:
    """The files that there are, newest first."""
    newest = state_path(results)
    pattern = re.compile(re.escape(newest.name.removesuffix(".h5")) + r"\.([1-9]\d*)\.h5")
    older: list[tuple[int, Path]] = []
    for path in newest.parent.iterdir() if newest.parent.is_dir() else ():
        if match := pattern.fullmatch(path.name):
            older.append((int(match.group(1)), path))
    return [path for path in [newest] if path.exists()] + [path for _, path in sorted(older)]


def header_of(path: Path) -> dict[str, Any] | None:
    """What is said of a state; None if it cannot be read."""
    try:
        with StateFile(path) as state:
            return state.header
    except FileError:
        return None


def admit(results: Path, kind: str, keep: int) -> bool:
    """Whether a state of this ``kind`` is to be written: with one generation, the clock must not replace another's."""
    if kind != CLOCK or keep > 1:
        return True
    older = generations(results)[:1]
    header = header_of(older[0]) if older else None
    return header is None or header.get("kind") == CLOCK


def install(results: Path, kind: str, keep: int) -> None:
    """Give the temporary file the name of the newest generation; ``keep`` of them remain.

    Raises
    ------
    FileError
        A file cannot be renamed or removed.
    """
    try:
        _thin(generations(results), keep - 1)
        chain = [newest := state_path(results)]
        while chain[-1].exists():
            chain.append(newest.with_name(f"{newest.name.removesuffix('.h5')}.{len(chain)}.h5"))
        # from the oldest on: whatever instant it is interrupted at, every generation has a name
        for older, old in zip(reversed(chain), reversed(chain[:-1]), strict=False):
            os.replace(old, older)
        os.replace(temporary_path(results), state_path(results))
        _synchronise(results.parent)
    except OSError as error:
        raise FileError(f"the state '{state_path(results)}' cannot be put in place: {error.strerror}") from None


def _thin(paths: list[Path], number: int) -> None:
    """Leave at most ``number`` of these generations, newest first.

    The first to go is one that cannot be read, then the oldest one that the clock made, then the oldest of all.
    """
    kinds = {path: (header_of(path) or {}).get("kind") for path in paths}
    stay = list(paths)
    while len(stay) > number:
        spoilt = [path for path in stay if kinds[path] is None]
        by_clock = [path for path in stay if kinds[path] == CLOCK]
        victim = (spoilt or by_clock or stay)[-1]
        victim.unlink(missing_ok=True)
        stay.remove(victim)


def remove_states(results: Path, measurement: str) -> None:
    """Remove the generations of this measurement: of a trajectory that has been read to its end."""
    for path in generations(results):
        if (header_of(path) or {}).get("measurement") == measurement:
            path.unlink(missing_ok=True)


def _synchronise(folder: Path) -> None:
    """Make a rename last; not every file system knows how."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        pass
