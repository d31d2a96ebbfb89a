"""The state between the ranks and its file: every rank's part goes to rank 0 in pieces, and comes back so.

In the file, an array is called RANK/OBJECT/KIND/NAME, with the kinds of :class:`~lammps_topo.stream.snapshot.Snapshot`;
what is shared is there once, as rank 0's. RANK/tags/LAYOUT are the tags that the last axis of ``atoms`` stands for.
Everything here is collective.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import FileError
from .generations import admit, install, temporary_path
from .soundness import lost, unfit
from .state_file import PIECE_BYTES, Entry, StateFile, pieces_of, write_state
from .stream.block import Integers
from .stream.communicator import Communicator
from .stream.snapshot import Snapshot

#: The layout of atoms that a rank owns.
OWNED = "owned"
_Named = dict[str, NDArray[Any]]
_NAME = re.compile(
    r"(?P<rank>0|[1-9]\d{0,8})/(?P<part>\w{1,99})/(?P<rest>((?P<kind>shared|share|atoms)/)?[\w.]{1,99})", re.ASCII
)


class Remembering(Protocol):
    """What has a memory between blocks."""

    def state(self) -> Snapshot: ...

    def restore(self, state: Snapshot) -> None: ...


@dataclass(frozen=True)
class Part:
    """An object of the state.

    Attributes
    ----------
    item : the object; None on ranks that do not have it
    on_root : only rank 0 has it, so that nothing is divided between ranks
    layouts : for arrays of ``atoms`` by name, the layout of their last axis, where it is not :data:`OWNED`
    """

    item: Remembering | None
    on_root: bool = False
    layouts: Mapping[str, str] = field(default_factory=dict)

    def layout(self, name: str) -> str:
        return self.layouts.get(name, OWNED)

    def state(self, item: Remembering) -> Snapshot:
        """Of the object, as it is in the file."""
        return item.state().undivided() if self.on_root else item.state()


@dataclass(frozen=True)
class Cost:
    """What writing the last state took: seconds, bytes."""

    seconds: float
    size: int


# ---- writing --------------------------------------------------------------------------------------------------------


def save(
    comm: Communicator,
    results: Path,
    header: Mapping[str, Any],
    parts: Mapping[str, Part],
    tags: Mapping[str, Integers],
    keep: int,
) -> Cost | str | None:
    """Write a generation of the state that belongs to the file ``results``; its cost, or why there is none.

    None if only one generation is kept, and the present one must not go for one that the clock asked for.

    Parameters
    ----------
    header : ``kind`` and whatever else is said of the state; rank 0's is taken
    parts : the objects by name; all ranks name the same
    tags : of this rank's atoms, by layout
    keep : generations that remain
    """
    started = time.monotonic()
    admitted = admit(results, str(header["kind"]), keep) if comm.rank == 0 else None
    if not comm.share(admitted):
        return None
    arrays = _own_arrays(comm, parts, tags)
    listings = comm.collect([Entry(name, array.shape, array.dtype.str) for name, array in arrays.items()])
    outcome: Cost | str = ""
    if comm.rank == 0:
        pieces = _arriving(comm, arrays, listings)
        try:
            entries = [entry for listing in listings for entry in listing]
            size = write_state(temporary_path(results), {**header, "ranks": comm.size}, entries, pieces)
            install(results, str(header["kind"]), keep)
            outcome = Cost(time.monotonic() - started, size)
        except FileError as error:
            outcome = str(error)
        except Exception as error:  # the other ranks must not wait for ever
            outcome = f"{type(error).__name__}: {error}"
        for _ in pieces:  # what has not been taken yet
            pass
    else:
        for array in arrays.values():
            for piece in pieces_of(array):
                comm.pass_on(piece, comm.rank, 0)
    shared: Cost | str = comm.share(outcome)
    return shared


def _own_arrays(comm: Communicator, parts: Mapping[str, Part], tags: Mapping[str, Integers]) -> _Named:
    """What this rank contributes to the file, by name."""
    found: dict[str, Any] = {f"{comm.rank}/tags/{layout}": values for layout, values in tags.items()}
    for part, described in parts.items():
        if described.item is None:
            continue
        snapshot = described.state(described.item)
        for kind in ("shared", "share", "atoms") if comm.rank == 0 else ("share", "atoms"):
            for name, value in getattr(snapshot, kind).items():
                found[f"{comm.rank}/{part}/{kind}/{name}"] = value
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(np.int64) if array.dtype.kind in "iub" else array


def _arriving(comm: Communicator, arrays: _Named, listings: list[list[Entry]]) -> Iterator[NDArray[Any]]:
    for array in arrays.values():
        yield from pieces_of(array)
    for rank, listing in enumerate(listings[1:], start=1):
        for entry in listing:
            left = entry.size
            while left:
                piece = comm.pass_on(None, rank, 0)
                assert piece is not None
                left -= len(piece)
                yield piece


# ---- reading --------------------------------------------------------------------------------------------------------


class Reader:
    """A state file that rank 0 reads for all ranks.

    Parameters
    ----------
    state : the open file on rank 0, None elsewhere
    tags : of the atoms that a rank owns now, by layout
    """

    def __init__(self, comm: Communicator, state: StateFile | None, tags: Mapping[str, Integers]) -> None:
        self.comm, self._state, self._tags = comm, state, dict(tags)
        listing = None if state is None else [entry for _, entry in state.entries.values()]
        self._entries: dict[str, Entry] = {entry.name: entry for entry in comm.share(listing)}
        self._writers = self._check_writers()
        own = tags[OWNED]
        ends = (int(own.min()), int(own.max())) if len(own) else (1, 0)
        self._ranges: list[tuple[int, int]] = comm.collect(ends)
        self._problem: str | None = None
        self._places: dict[str, list[tuple[int, int, Integers, Integers]]] = {}

    def _check_writers(self) -> int:
        """How many ranks wrote the file: each of them what rank 0 did, but for what is shared."""
        writers = len({name.split("/", 1)[0] for name in self._entries})
        for name, entry in self._entries.items():
            found = _NAME.fullmatch(name)
            tags = found is not None and found["part"] == "tags"
            if found is None or (tags and (entry.kind != "<i8" or len(entry.shape) != 1)):
                raise FileError("the state has an array that no measurement has")
            if found["rank"] != "0" or found["kind"] == "shared":
                continue
            along = slice(None, -1 if tags or found["kind"] == "atoms" else None)  # ranks have other numbers of atoms
            for writer in range(1, writers):
                other = self._entries.get(f"{writer}/{found['part']}/{found['rest']}")
                alike = other is not None and other.kind == entry.kind and len(other.shape) == len(entry.shape)
                if other is None or not alike or other.shape[along] != entry.shape[along]:
                    raise FileError(f"the state lacks the part of rank {writer}")
        return writers

    def restore(self, parts: Mapping[str, Part], tags: Mapping[str, Integers]) -> None:
        """Give every object back its memory; ``tags`` of all layouts.

        Raises
        ------
        FileError
            The file does not hold it, or holds it for other atoms.
        """
        self._tags.update(tags)
        for part, described in parts.items():
            self._agreed(part, described, self.snapshot(part, described))

    def snapshot(self, part: str, described: Part) -> Snapshot:
        """What the file holds of an object: on every rank its own."""
        kinds: dict[str, _Named] = {"shared": {}, "share": {}, "atoms": {}}
        for name in self._names(part):
            kind, _, inner = name.partition("/")
            if kind == "shared":
                kinds[kind][inner] = self._shared(f"0/{part}/{name}", described.on_root)
            elif kind == "share":
                kinds[kind][inner] = self._share(f"{part}/{name}")
            else:
                kinds[kind][inner] = self._by_atom(f"{part}/{name}", described.layout(inner))
        if problem := self.comm.share(self._problem):
            raise FileError(problem)
        return Snapshot(**kinds)

    def _names(self, part: str) -> list[str]:
        head = f"0/{part}/"
        return [name.removeprefix(head) for name in self._entries if name.startswith(head)]

    def _agreed(self, part: str, described: Part, given: Snapshot) -> None:
        """Restore an object, on the ranks that have it; all of them, or FileError."""
        problem, item = None, described.item
        try:
            if item is not None:
                problem = unfit(given, described.state(item))
                if problem is None:
                    item.restore(given)
                    problem = lost(given, described.state(item))
        except (LookupError, ValueError, TypeError, ArithmeticError) as error:
            problem = str(error)
        if problem is not None:
            problem = f"the state does not fit this measurement: in '{part}', {problem}"
        for text in self.comm.collect(problem):
            if text:
                raise FileError(text)

    def _read(self, name: str, rows: int | None = None) -> Iterator[NDArray[Any]]:
        """Rank 0: pieces of an array; zeros where it cannot be read, for nobody must wait for ever."""
        entry = self._entries[name]
        assert self._state is not None
        try:
            yield from self._state.pieces(name, rows)
        except Exception as error:
            self._problem = f"the state '{self._state.path}' cannot be read: {error}"
            while True:
                yield np.zeros(rows or entry.size, dtype=entry.kind)

    def _whole(self, name: str) -> NDArray[Any]:
        entry = self._entries[name]
        array = np.zeros(entry.size, dtype=entry.kind)
        pieces, done = self._read(name), 0
        while done < entry.size:
            piece = next(pieces)[: entry.size - done]
            array[done : done + len(piece)] = piece
            done += len(piece)
        return array.reshape(entry.shape)

    def _shared(self, name: str, on_root: bool) -> NDArray[Any]:
        mine = self._whole(name) if self.comm.rank == 0 else np.zeros(0)
        return mine if on_root else self.comm.share(mine)

    def _share(self, name: str) -> NDArray[Any]:
        """Back to the rank it came from; on another number of ranks all to rank 0."""
        comm, entry = self.comm, self._entries[f"0/{name}"]
        mine: NDArray[Any] = np.zeros(entry.shape, dtype=entry.kind)
        same = self._writers == comm.size
        for writer in range(self._writers):
            part = self._whole(f"{writer}/{name}") if comm.rank == 0 else None
            if not same and part is not None:
                mine = mine + part if writer else part
            elif same:
                got = comm.pass_on(part, 0, writer)
                mine = got if comm.rank == writer and got is not None else mine
        return mine

    def _by_atom(self, name: str, layout: str) -> NDArray[Any]:
        """(…, n) of this rank's atoms, in pieces of whole rows."""
        comm, entry = self.comm, self._entries[f"0/{name}"]
        for writer in range(self._writers):
            tags, held = (self._entries.get(f"{writer}/{inner}") for inner in (f"tags/{layout}", name))
            if tags is None or held is None or held.shape[-1:] != tags.shape:
                raise FileError(f"the state has '{name}' of other atoms than '{layout}'")
        matches = self._matches(layout)  # all atoms are there: nothing larger than the file is made
        shape = (*entry.shape[:-1], len(self._tags[layout]))
        rows = int(np.prod(shape[:-1], dtype=object))
        result: NDArray[Any] = np.empty((rows, shape[-1]), dtype=entry.kind)
        for writer, reader, columns, slots in matches:
            width = self._entries[f"{writer}/{name}"].shape[-1]
            step = max(1, PIECE_BYTES // (8 * max(width, 1)))
            pieces = self._read(f"{writer}/{name}", step * width) if comm.rank == 0 else iter(())
            for begin in range(0, rows, step):
                end = min(begin + step, rows)
                piece = next(pieces)[: (end - begin) * width].reshape(-1, width)[:, columns] if comm.rank == 0 else None
                got = comm.pass_on(piece, 0, reader)
                if comm.rank == reader and got is not None:
                    result[begin:end, slots] = got
        return result.reshape(shape)

    def _matches(self, layout: str) -> list[tuple[int, int, Integers, Integers]]:
        """Writer, reader, columns of the writer's arrays (on rank 0) and slots of the reader's, of those who share
        atoms; on ranks other than 0, the own ones only."""
        if layout in self._places:
            return self._places[layout]
        comm, own, found = self.comm, self._tags[layout], []
        order = np.argsort(own)
        times, foreign = np.zeros(len(own), dtype=np.int64), False
        for writer in range(self._writers):
            tags = self._whole(f"{writer}/tags/{layout}") if comm.rank == 0 else np.zeros(0, dtype=np.int64)
            for reader, (low, high) in enumerate(self._ranges):
                columns = np.flatnonzero((tags >= low) & (tags <= high))
                got = comm.pass_on(tags[columns], 0, reader)
                slots = columns[:0]
                if comm.rank == reader and got is not None and len(got):
                    place = np.minimum(np.searchsorted(own, got, sorter=order), max(len(own) - 1, 0))
                    slots = order[place] if len(own) else order
                    foreign = foreign or len(slots) != len(got) or bool((own[slots] != got).any())
                    times += np.bincount(slots, minlength=len(own))
                if len(columns) or len(slots):
                    found.append((writer, reader, columns, slots))
        if any(comm.collect(foreign or bool((times != 1).any()))):
            raise FileError("the state was written for other atoms than those of this run")
        self._places[layout] = found
        return found
