"""Global numbers of a LAMMPS that is reached through its Python module: ``c_ID``, ``f_ID[i]``, ``v_NAME`` and the like.

Energies and virials are summed up only in steps that LAMMPS knows of beforehand. Where commands can be given before a
run begins, its own ``fix ave/time`` sees to that; in the middle of one, only what fixes have can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from ..errors import ConfigError
from ..representation import GlobalFlux
from ..stream.block import Array

_GLOBAL, _SCALAR, _VECTOR, _SIZE = 0, 0, 1, 3  # LMP_STYLE_GLOBAL, LMP_TYPE_…, LMP_SIZE_VECTOR
_CATEGORIES = {"c": "compute", "f": "fix", "v": "variable"}
_FIX = "lammps_topo_numbers"


class GlobalNumbers(Protocol):
    """The numbers of :attr:`Measurement.global_fluxes`, one after the other; every method is collective."""

    def scheduled(self) -> Any:
        """A context in which LAMMPS runs, and knows when they are wanted."""
        ...

    def read(self) -> Array:
        """(G,) of this step."""
        ...


class ScheduledNumbers:
    """Read from a ``fix ave/time`` that exists only while LAMMPS runs.

    Raises
    ------
    ConfigError
        LAMMPS does not have a number.
    """

    def __init__(self, lmp: Any, fluxes: Sequence[GlobalFlux], every: int) -> None:
        self._lmp = lmp
        self._number = sum(len(flux.sources) for flux in fluxes)
        sources = [source for flux in fluxes for source in flux.sources]
        self._command = f"fix {_FIX} all ave/time {every} 1 {every} "
        for flux in fluxes:
            for source in flux.sources:
                _check_name(lmp, flux.key, source)
                self._try(flux.key, source)
        self._command += " ".join(sources)

    def _try(self, key: str, source: str) -> None:
        try:
            self._lmp.command(self._command + source)
        except Exception as error:  # of LAMMPS: on all ranks alike
            reason = str(error).splitlines()[0].removeprefix("ERROR: ").partition(" (")[0]
            raise ConfigError(f"key '{key}' wants '{source}', but LAMMPS says: {reason}") from None
        self._lmp.command(f"unfix {_FIX}")

    @contextmanager
    def scheduled(self) -> Iterator[None]:
        self._lmp.command(self._command)
        try:
            yield
        finally:
            with suppress(Exception):  # of a LAMMPS that an error has stopped
                self._lmp.command(f"unfix {_FIX}")

    def read(self) -> Array:
        return np.array([self._lmp.extract_fix(_FIX, _GLOBAL, _VECTOR, i) for i in range(self._number)])


class FixNumbers:
    """Read from fixes of the user's, in the middle of a run.

    Raises
    ------
    ConfigError
        LAMMPS does not have a number, or it is not one of a fix.
    """

    def __init__(self, lmp: Any, fluxes: Sequence[GlobalFlux], every: int) -> None:
        self._lmp = lmp
        self._numbers = [self._found(flux.key, source, every) for flux in fluxes for source in flux.sources]

    @contextmanager
    def scheduled(self) -> Iterator[None]:
        yield

    def read(self) -> Array:
        return np.array(
            [
                self._lmp.extract_fix(name, _GLOBAL, _VECTOR, index - 1)
                if index
                else self._lmp.extract_fix(name, _GLOBAL, _SCALAR)
                for name, index in self._numbers
            ]
        )

    def _found(self, key: str, source: str, every: int) -> tuple[str, int]:
        """Name and index from 1, 0 for a scalar."""
        _check_name(self._lmp, key, source)
        kind, name, index = _parts(source)
        if kind == "f":
            problem = self._problem(name, index)
        else:
            average = f"fix ID all ave/time {every} 1 {every} {source} ..."
            problem = (
                f"fix python/invoke can only read what fixes have: define '{average}' before it, and give 'f_ID[i]'"
            )
        if problem:
            raise ConfigError(f"key '{key}' wants '{source}', but {problem}")
        return name, index

    def _problem(self, fix: str, index: int) -> str | None:
        try:
            size = self._lmp.extract_fix(fix, _GLOBAL, _SIZE if index else _SCALAR)
        except ValueError:  # a null pointer
            return f"fix '{fix}' has no global {'vector' if index else 'scalar'}"
        return f"fix '{fix}' has a vector of {size} numbers" if index and index > size else None


def _parts(source: str) -> tuple[str, str, int]:
    kind, _, name = source.partition("_")
    name, _, index = name.partition("[")
    return kind, name, int(index.rstrip("]") or 0)


def _check_name(lmp: Any, key: str, source: str) -> None:
    kind, name, _ = _parts(source)
    if not lmp.has_id(_CATEGORIES[kind], name):
        raise ConfigError(f"key '{key}' wants '{source}', but there is no {_CATEGORIES[kind]} '{name}'")
