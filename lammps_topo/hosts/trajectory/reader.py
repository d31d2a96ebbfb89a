"""Opening a trajectory of any format."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.ase_files import read_with_ase
from lammps_topo.hosts.trajectory.frame import TrajectoryFrame
from lammps_topo.hosts.trajectory.lammps_dump import read_lammps_dump

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def open_trajectory(
    path: str | os.PathLike[str], *, unwrapped: bool = False, values: Mapping[str, int] | None = None
) -> Iterator[TrajectoryFrame]:
    """The frames of a trajectory file, one after the other; only one is held in memory.

    What begins with ``ITEM:`` (also inside gzip) is read as a LAMMPS text dump, everything else by ASE,
    whose ``metal`` units it then has.  Positions are unwrapped: from ``xu yu zu`` or ``xsu ysu zsu``;
    else from wrapped positions and ``ix iy iz``; else by the minimum image from frame to frame
    (see ``Unwrapper``), which needs frames close enough together.  ``unwrapped=True`` says that
    positions without image flags are continuous already and are to be taken as they are.  ``values`` names other
    per-atom numbers, as LAMMPS does, and how many columns they have.

    A last frame that is cut short is left out with a warning.  Raises FileError, at once for a file that
    is missing or empty and else at the frame concerned, for anything that cannot be understood.
    """
    file = Path(path)
    head, compressed = _head(file)
    if not head:
        raise FileError(f"{file.name}: the file is empty.")
    if head.lstrip().startswith(b"ITEM:"):
        return read_lammps_dump(file, compressed=compressed, unwrapped=unwrapped, values=values)
    if head.startswith(_ZSTD):
        raise FileError(f"{file.name}: files compressed with zstd are not read; decompress it, or use gzip.")
    return read_with_ase(file, unwrapped=unwrapped, values=values)


def _head(file: Path) -> tuple[bytes, bool]:
    """The first bytes, decompressed where the file is gzip, and whether it is."""
    try:
        with file.open("rb") as raw:
            head = raw.read(64)
        if not head.startswith(_GZIP):
            return head, False
        with gzip.open(file, "rb") as unzipped:
            return unzipped.read(64), True
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{file.name}: the compressed file is damaged at its beginning ({error}).") from error
    except OSError as error:
        raise FileError(f"{file.name}: cannot be read ({error.strerror or error}).") from error
