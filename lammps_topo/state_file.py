"""The state file ``NAME.state.h5``: all that a measurement remembers, from all ranks, to continue from.

It is an HDF5 file behind a user block. The block says what the file is in plain text: a line ``lammps-topo-state
VERSION SIZE BLOCK SHA256 LENGTH SHA256`` with the bytes of the file and of the block, the digest of everything behind
the block, and the length and digest of the JSON that follows, the header: whose state, at which step. In the HDF5 file,
``arrays/0``, ``arrays/1``, … are one-dimensional, and ``listing`` is JSON with their names, shapes and types.

HDF5 is let at a file only when its digest is right: on damaged files it may loop for ever. No pickle, links, filters.

A state can be larger than memory: arrays are written and read in pieces. A file is written beside the old one; it takes
its name when all of it, synchronised to disk, is there. See :mod:`lammps_topo.generations`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileError

FORMAT = "lammps-topo-state"
FORMAT_VERSION = 2
#: Bytes that are written, read or sent at once.
PIECE_BYTES = 8 << 20
_TYPES = ("<f4", "<f8", "<i8", "<c16")
_MOST_ARRAYS, _LONGEST_HEADER = 1 << 20, 1 << 26
_LEAST_BLOCK, _LINE = 512, 256
_MOST_AXES, _DEEPEST_JSON, _LONGEST_REASON = 16, 32, 200


class Entry(NamedTuple):
    """An array of the file: whose it is, its shape and its type (``<f8`` …)."""

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))


def pieces_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The contents, one-dimensional, in order, a bounded number of bytes at once."""
    if array.flags.c_contiguous or array.nbytes <= PIECE_BYTES:
        flat = np.ascontiguousarray(array).reshape(-1)
        step = max(1, PIECE_BYTES // max(array.itemsize, 1))
        yield from (flat[begin : begin + step] for begin in range(0, len(flat), step))
    else:
        for part in array:
            yield from pieces_of(part)


def write_state(path: Path, header: Mapping[str, Any], entries: list[Entry], pieces: Iterable[NDArray[Any]]) -> int:
    """Write and synchronise a file at ``path``; returns its size in bytes.

    Parameters
    ----------
    header : what is said of the state, for JSON
    entries : the arrays
    pieces : their contents in the same order, each array in one or more one-dimensional pieces

    Raises
    ------
    FileError
        There is no room, or no permission. What was written is removed.
    """
    text = json.dumps(dict(header)).encode()
    block = _LEAST_BLOCK
    while block < _LINE + len(text):
        block *= 2
    try:
        with open(path, "w+b", buffering=0) as raw:
            disk = _Disk(raw)
            try:
                with h5py.File(disk, "w", userblock_size=block) as file:
                    _write_arrays(file, entries, iter(pieces))
            except Exception:  # HDF5 misses what a full disk did not take
                if disk.problem is None:
                    raise
            disk.check()
            size = raw.seek(0, os.SEEK_END)
            line = f"{FORMAT} {FORMAT_VERSION} {size} {block} {_digest(raw, block)} {len(text)} {_sha256(text)}\n"
            raw.seek(0)
            disk.write(line.encode() + text)
            disk.check()
            os.fsync(raw.fileno())
            return size
    except OSError as error:
        path.unlink(missing_ok=True)
        raise FileError(f"the state '{path}' cannot be written: {error.strerror or error}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write_arrays(file: h5py.File, entries: list[Entry], pieces: Iterator[NDArray[Any]]) -> None:
    file["listing"] = np.frombuffer(json.dumps([list(entry) for entry in entries]).encode(), dtype=np.uint8)
    group = file.create_group("arrays")
    for number, entry in enumerate(entries):
        data, done = group.create_dataset(str(number), (entry.size,), entry.kind), 0
        while done < entry.size:
            piece = next(pieces)
            data[done : done + len(piece)] = piece
            done += len(piece)


def _digest(raw: Any, begin: int) -> str:
    """SHA-256 of what a file holds behind ``begin``."""
    raw.seek(begin)
    digest = hashlib.sha256()
    while piece := raw.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _shallow(value: Any) -> bool:
    """Whether there are no lists within lists without end: what works on them has to come back."""
    level = [value]
    for _ in range(_DEEPEST_JSON):
        inner = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list)))
        level = [part for parts in inner for part in parts]
    return not level


class _Disk:
    """A file that may run out of disk. HDF5 cannot recover from that, so it is not told; ``problem`` says it later."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.problem: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.problem is None and done < len(view):
                done += self._raw.write(view[done:])
        except OSError as error:
            self.problem = error
        if self.problem is not None:
            self._raw.seek(len(view) - done, os.SEEK_CUR)
        return len(view)

    def check(self) -> None:
        """Raise what HDF5 was not told."""
        if self.problem is not None:
            raise self.problem

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._raw.read(size)
        return data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        self._raw.readinto(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.problem is None:
                return int(self._raw.truncate(size))
        except OSError as error:
            self.problem = error
        return size or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._raw.seek(offset, whence))

    def tell(self) -> int:
        return int(self._raw.tell())

    def flush(self) -> None:
        """Nothing is held back."""


class StateFile:
    """A state file that is open for reading. Only what :meth:`verify` has found right may be read.

    Attributes
    ----------
    header : what was said of the state; its types are checked by those who use it
    entries : the arrays by name, with their numbers; none before :meth:`verify`

    Raises
    ------
    FileError
        The file cannot be read, is not a state, is of another format, or is not whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.entries: dict[str, tuple[int, Entry]] = {}
        self._file: h5py.File | None = None
        try:
            if not self.path.is_file():
                raise FileError(
                    f"the state '{path}' cannot be read: {'it is not a file' if self.path.exists() else 'no such file'}"
                )
            self._raw = open(self.path, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise FileError(f"the state '{path}' cannot be read: {error.strerror}") from None
        try:
            self.header = self._read_header()
        except FileError:
            self.close()
            raise
        except (OSError, ValueError, RecursionError) as error:
            self.close()
            raise FileError(f"the state '{path}' is damaged: {error}") from None

    def _read_header(self) -> dict[str, Any]:
        words = self._raw.read(_LINE).split(b"\n")[0].decode("ascii", "replace").split()
        if not words or words[0] != FORMAT:
            raise FileError(f"'{self.path}' is not a state of lammps_topo")
        if words[1:2] != [str(FORMAT_VERSION)]:
            raise FileError(
                f"the state '{self.path}' has format version {' '.join(words[1:2])}, but this lammps_topo reads "
                f"{FORMAT_VERSION}"
            )
        if len(words) != 7:
            raise ValueError("its first line is not whole")
        size, self._block, length = int(words[2]), int(words[3]), int(words[5])
        self._sha256 = words[4]
        if size != (there := self.path.stat().st_size):
            raise ValueError(f"it has {there} bytes, not the {size} that were written")
        if not 0 < length < min(self._block, _LONGEST_HEADER) or self._block > size:
            raise ValueError("its first line contradicts itself")
        self._raw.seek(len(" ".join(words)) + 1)
        text = self._raw.read(length)
        if _sha256(text) != words[6]:
            raise ValueError("its header does not match its checksum")
        header = json.loads(text)
        if not isinstance(header, dict) or not _shallow(header):
            raise ValueError("its header is not one")
        return header

    def verify(self) -> None:
        """Read all of it, check its digest, and what it is made of. Raises FileError."""
        try:
            if _digest(self._raw, self._block) != self._sha256:
                raise FileError(f"the state '{self.path}' is damaged: its contents do not match its checksum")
            self._file = h5py.File(self.path, "r")
            self.entries = self._survey(self._file)
        except FileError:
            raise
        except Exception as error:  # whatever HDF5 or JSON make of a file that was made to deceive
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise FileError(f"the state '{self.path}' is damaged ({type(error).__name__}: {reason})") from None

    def _survey(self, file: h5py.File) -> dict[str, tuple[int, Entry]]:
        size = self.path.stat().st_size
        self._check(file, "listing", np.dtype(np.uint8), None, min(size, _LONGEST_HEADER))
        listing = json.loads(file["listing"][()].tobytes())
        if len(listing) > _MOST_ARRAYS or not isinstance(file.get("arrays", getlink=True), h5py.HardLink):
            raise ValueError("too many arrays")
        entries: dict[str, tuple[int, Entry]] = {}
        for number, (name, shape, kind) in enumerate(listing):
            entry = Entry(str(name), tuple(int(length) for length in shape), str(kind))
            # an array without numbers, too, must be one that numpy can make
            extent = int(np.prod([length for length in entry.shape if length], dtype=object))
            possible = len(entry.shape) <= _MOST_AXES and min(entry.shape, default=0) >= 0 and extent < 1 << 56
            if not possible or entry.kind not in _TYPES or entry.name in entries:
                raise ValueError(f"array {number} is '{name}', {shape} of {kind}")
            size -= self._check(file["arrays"], str(number), np.dtype(entry.kind), entry.size, size)
            entries[entry.name] = (number, entry)
        if len(file["arrays"]) != len(entries):
            raise ValueError("there are more arrays than are listed")
        return entries

    @staticmethod
    def _check(group: h5py.Group, name: str, kind: np.dtype[Any], length: int | None, most: int) -> int:
        """Bytes of a dataset, which is all there, in one place, and as declared."""
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"'{name}' is a link to something else")
        data = group[name]
        creation = data.id.get_create_plist()
        plain = creation.get_layout() == h5py.h5d.CONTIGUOUS and not creation.get_external_count()
        if data.dtype != kind or data.ndim != 1 or (length is not None and len(data) != length) or not plain:
            raise ValueError(f"'{name}' is not what the header says")
        stored = int(data.id.get_storage_size())
        if stored != len(data) * kind.itemsize or stored > most:
            raise ValueError(f"'{name}' is declared to hold more than is there")
        return stored

    def pieces(self, name: str, length: int | None = None) -> Iterator[NDArray[Any]]:
        """The contents of an array, one-dimensional, ``length`` numbers at once."""
        number, entry = self.entries[name]
        data = self._data(number)
        step = length or max(1, PIECE_BYTES // np.dtype(entry.kind).itemsize)
        for begin in range(0, entry.size, step):
            yield data[begin : begin + step]

    def read(self, name: str) -> NDArray[Any]:
        """An array as it was."""
        number, entry = self.entries[name]
        array: NDArray[Any] = self._data(number)[()].reshape(entry.shape)
        return array

    def _data(self, number: int) -> h5py.Dataset:
        assert self._file is not None
        return self._file[f"arrays/{number}"]

    def close(self) -> None:
        self._raw.close()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_state(path: str | Path) -> bool:
    """Whether a file calls itself a state, whatever its contents; False where it cannot be opened."""
    try:
        with open(path, "rb") as file:
            return file.read(len(FORMAT)) == FORMAT.encode()
    except OSError:
        return False


def verify_state(path: str | Path) -> dict[str, Any]:
    """The header of a state file whose contents match its checksum. Raises FileError."""
    with StateFile(path) as state:
        state.verify()
        if not all(isinstance(state.header.get(name), int) for name in ("samples", "step")):
            raise FileError(f"the state '{path}' is damaged: its header is not complete")
        return state.header
