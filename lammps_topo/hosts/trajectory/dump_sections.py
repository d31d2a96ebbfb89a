"""The sections of a LAMMPS text dump, frame by frame: header and rows of atoms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.box import Box, parse_box
from lammps_topo.hosts.trajectory.columns import Columns

_CHUNK = 20_000  # lines parsed at a time
_Number = TypeVar("_Number", int, float)


class CutShortError(Exception):
    """The file ends inside a frame."""


@dataclass(frozen=True)
class Header:
    """Everything of a frame before its atoms."""

    step: int
    time: float | None
    atoms: int
    box: Box
    columns: Columns


class Sections:
    """Reads, from a binary ``handle``, header and rows of one frame after the other.

    ``wanted`` are more columns to be read (:class:`Columns`).
    ``step`` is that of the frame begun (None before it is known), ``units`` the last ``ITEM: UNITS`` seen.
    Both methods raise CutShortError where the file ends inside a frame and FileError, with the line and the
    step, for what is not as LAMMPS writes it.
    """

    def __init__(self, handle: IO[bytes], name: str, wanted: Mapping[str, Sequence[str]] | None = None) -> None:
        self.step: int | None = None
        self.units: str | None = None
        self._handle = handle
        self._name = name
        self._line = 0
        self._wanted = wanted
        self._columns: Columns | None = None

    def header(self) -> Header | None:
        """The next header; None at the end of the file."""
        self.step = None
        begun, time, atoms, box = False, None, None, None
        while line := self._next(end_allowed=not begun):
            match line.decode("latin-1").split():
                case []:
                    continue
                case ["ITEM:", "UNITS"]:
                    self.units = self._next().decode("latin-1").strip()
                case ["ITEM:", "TIME"]:
                    time = self._number(float, "the time")
                case ["ITEM:", "TIMESTEP"]:
                    self.step = self._number(int, "the timestep")
                case ["ITEM:", "NUMBER", "OF", "ATOMS"]:
                    atoms = self._number(int, "the number of atoms")
                    if atoms < 1:
                        self._fail(f"the frame holds {atoms} atoms")
                case ["ITEM:", "BOX", "BOUNDS", *form]:
                    box = self._box(form)
                case ["ITEM:", "ATOMS", *names]:
                    if self.step is None or atoms is None or box is None:
                        self._fail("ITEM: ATOMS comes before the timestep, number of atoms and box bounds")
                    return Header(self.step, time, atoms, box, self._named(names))
                case _:
                    self._fail(f"a line that begins an item of a frame expected, found {_shown(line)}")
            begun = True
        return None

    def rows(self, header: Header) -> NDArray[Any]:
        """Structured array [header.atoms] of the rows that follow ``header``, in the order of the file."""
        parts: list[NDArray[Any]] = []
        done = 0
        while done < header.atoms:
            wanted = min(header.atoms - done, _CHUNK)
            try:
                lines = list(islice(self._handle, wanted))
            except EOFError:
                raise CutShortError from None
            whole = len(lines) == wanted and lines[-1].endswith(b"\n")
            if not whole and not any(line.startswith(b"ITEM:") for line in lines):
                raise CutShortError
            try:
                parts.append(header.columns.parse(lines))
            except ValueError as error:
                self._blame(lines, header, done, error)
            self._line += wanted
            done += wanted
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _fail(self, what: str, line: int | None = None) -> NoReturn:
        at = "" if self.step is None else f" (step {self.step})"
        raise FileError(f"{self._name}, line {line or self._line}{at}: {what}.")

    def _next(self, end_allowed: bool = False) -> bytes:
        try:
            line = self._handle.readline()
        except EOFError:
            raise CutShortError from None
        if not line.endswith(b"\n") and (line or not end_allowed):
            raise CutShortError
        self._line += 1
        return line

    def _number(self, kind: Callable[[bytes], _Number], what: str) -> _Number:
        word = self._next().strip()
        try:
            return kind(word)
        except ValueError:
            self._fail(f"{what} expected, found {_shown(word)}")

    def _box(self, form: list[str]) -> Box:
        try:
            return parse_box(form, [self._next() for _ in range(3)])
        except ValueError as error:
            self._fail(f"the box bounds cannot be understood: {error}")

    def _named(self, names: list[str]) -> Columns:
        if self._columns is None or self._columns.names != names:
            try:
                self._columns = Columns(names, self._wanted)
            except ValueError as error:
                self._fail(str(error))
        return self._columns

    def _blame(self, lines: list[bytes], header: Header, done: int, error: ValueError) -> NoReturn:
        """Name the row that could not be parsed, in ``lines`` after the first ``done`` atoms of a frame."""
        for number, line in enumerate(lines):
            if line.startswith(b"ITEM:"):
                fault = f"the frame ends after {done + number} of its {header.atoms} atoms"
            else:
                fault = header.columns.fault(line) or ""
            if fault:
                self._fail(f"{fault}: {_shown(line)}", self._line + number + 1)
        self._fail(f"one of the {len(lines)} atoms from here cannot be understood ({error})", self._line + 1)


def _shown(line: bytes) -> str:
    text = line.decode("latin-1").strip()
    return repr(text if len(text) <= 60 else text[:60] + "…")
