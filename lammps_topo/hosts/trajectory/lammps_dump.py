"""LAMMPS text dumps (``dump atom`` and ``dump custom``), plain or gzip."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.columns import value_columns
from lammps_topo.hosts.trajectory.dump_sections import CutShortError, Header, Sections
from lammps_topo.hosts.trajectory.frame import FloatArray, Numbering, TrajectoryFrame, finite, same_atoms
from lammps_topo.hosts.trajectory.unwrap import Unwrapper

_BUFFER = 1 << 20  # bytes read at a time
_HINT = "; dump xu yu zu, or ix iy iz beside the positions, or dump more often"


def read_lammps_dump(
    path: Path, *, compressed: bool = False, unwrapped: bool = False, values: Mapping[str, int] | None = None
) -> Iterator[TrajectoryFrame]:
    """Frames of a dump, sorted by atom ID; see ``open_trajectory`` for positions and errors.

    Columns are known by name, in any order, and those that are not needed are ignored; ``values`` are other
    per-atom numbers of LAMMPS, and how many columns they have: ``d2_z`` is in ``d2_z[1]`` to ``d2_z[9]``.
    Where the file ends before the last frame does, that frame is left out with a warning.
    """
    try:
        with (
            path.open("rb", buffering=0) as raw,
            BufferedReader(_Unzipped(raw) if compressed else raw, _BUFFER) as handle,
        ):
            wanted = {source: value_columns(source, number) for source, number in (values or {}).items()}
            yield from _frames(Sections(handle, path.name, wanted), path.name, unwrapped)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{path.name}: the compressed file is damaged ({error}).") from error
    except OSError as error:
        raise FileError(f"{path.name}: cannot be read ({error.strerror or error}).") from error


def _frames(sections: Sections, name: str, unwrapped: bool) -> Iterator[TrajectoryFrame]:
    build = _Builder(name, unwrapped)
    last: int | None = None
    try:
        while (header := sections.header()) is not None:
            yield build(header, sections.rows(header), sections.units)
            last = header.step
    except CutShortError:
        at = "" if sections.step is None else f" at step {sections.step}"
        if last is None:
            raise FileError(f"{name}: the file ends inside its first frame{at}.") from None
        which = at or f", after step {last},"
        warnings.warn(f"{name}: the last frame{which} is incomplete and was left out.", stacklevel=3)
        return
    if last is None:
        raise FileError(f"{name}: there is no frame in it.")


class _Unzipped(RawIOBase):
    """Decompressed bytes as soon as there are some: where a gzip file is cut short, all before the cut."""

    def __init__(self, raw: FileIO) -> None:
        self._file = gzip.GzipFile(fileobj=raw)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        some = self._file.read1(len(buffer))
        buffer[: len(some)] = some
        return len(some)


class _Builder:
    """Makes frames of sections; remembers what must not change, or need not be made again."""

    def __init__(self, name: str, unwrapped: bool) -> None:
        self._name = name
        self._tags: NDArray[np.int64] | None = None
        self._labels: tuple[NDArray[np.bytes_], NDArray[np.str_]] | None = None
        self._numbering = Numbering()
        self._unwrap = None if unwrapped else Unwrapper(name, _HINT)

    def __call__(self, header: Header, table: NDArray[Any], units: str | None) -> TrajectoryFrame:
        columns, box, where = header.columns, header.box, f"{self._name}: the frame at step {header.step}"
        tags = columns.one(table, "id")
        if (np.diff(tags) <= 0).any():
            table = table[np.argsort(tags, kind="stable")]
            tags = columns.one(table, "id")
        tags = self._checked(tags, where)
        element = self._text(columns.one(table, "element")) if "element" in columns else None
        if element is not None and "type" not in columns:
            types = self._numbering(element)
        else:
            types = columns.one(table, "type").astype(np.int32)
        x = columns.three(table, columns.position)
        v, f = columns.maybe_three(table, ("vx", "vy", "vz")), columns.maybe_three(table, ("fx", "fy", "fz"))
        q, mass = columns.maybe_one(table, "q"), columns.maybe_one(table, "mass")
        values = columns.wanted(table)
        finite(where, positions=x, velocities=v, forces=f, charges=q, masses=mass, **values)
        x = self._unwrapped(x, header, table, tags)
        mol = columns.maybe_one(table, "mol")
        # fmt: off
        return TrajectoryFrame(header.step, box.cell, box.origin, tags, types, x, v, f, q, mass, element, mol,
                               box.periodic, header.time, units, values)
        # fmt: on

    def _checked(self, tags: NDArray[np.int64], where: str) -> NDArray[np.int64]:
        if tags[0] < 1:
            raise FileError(f"{where} has an atom with ID {tags[0]}: IDs must be positive.")
        twice = np.flatnonzero(np.diff(tags) == 0)
        if twice.size:
            raise FileError(f"{where} has two atoms with ID {tags[twice[0]]}.")
        if self._tags is None:
            tags.flags.writeable = False
            self._tags = tags
        same_atoms(where, tags, self._tags)
        return self._tags

    def _text(self, label: NDArray[Any]) -> NDArray[np.str_]:
        """Labels [n] as text, converted only when they differ from those of the last frame."""
        if self._labels is None or not np.array_equal(label, self._labels[0]):
            self._labels = label, np.char.decode(label, "latin-1")
        return self._labels[1]

    def _unwrapped(self, x: FloatArray, header: Header, table: NDArray[Any], tags: NDArray[np.int64]) -> FloatArray:
        columns, box = header.columns, header.box
        if columns.scaled:
            x = box.origin + x @ box.cell
        if columns.continuous:
            return x
        images = columns.images(table, box.periodic)
        if images is not None:
            return x + images @ box.cell
        return x if self._unwrap is None else self._unwrap(x, box.cell, box.origin, box.periodic, tags, header.step)
