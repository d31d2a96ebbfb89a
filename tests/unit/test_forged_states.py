"""States that somebody made up: the checksums are right, the contents are not. LAMMPS_TOPO_FUZZ=5000 for more of them.

They are refused with a sentence, or a run can go on with them; nothing is executed, and nothing larger than the file is
made. Damage, and what HDF5 may be made to do, are in test_state.py.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from crew import on_ranks
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from replayed import Named, Trajectory, begin, configuration
from test_state import ARRAYS, reseal, write

from lammps_topo.errors import FileError, TopoError
from lammps_topo.generations import state_path
from lammps_topo.state_file import Entry, StateFile, pieces_of, verify_state, write_state
from lammps_topo.store import _memory_limited, read_results
from lammps_topo.stream.communicator import Alone

FUZZ = settings(
    max_examples=int(os.environ.get("LAMMPS_TOPO_FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TRAJECTORY = Trajectory(60, atoms=6)
CUT = 37
#: More than any of these files can hold.
MEMORY = 1 << 29


class State:
    """The contents of a state file, to be changed."""

    def __init__(self, header: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.header, self.arrays = header, arrays

    def copy(self) -> State:
        return State(dict(self.header), {name: array.copy() for name, array in self.arrays.items()})

    def write(self, path: Path) -> None:
        entries = [Entry(name, array.shape, array.dtype.str) for name, array in self.arrays.items()]
        pieces = (piece for array in self.arrays.values() for piece in pieces_of(array))
        write_state(path, self.header, entries, pieces)


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> State:
    path = tmp_path_factory.mktemp("honest") / "a.topo.h5"
    found = begin(TRAJECTORY, configuration(), path)
    for first, last in ((0, 20), (20, CUT)):
        found.take(TRAJECTORY.packed(first, last))
    assert found.save("restart")
    with StateFile(state_path(path)) as state:
        state.verify()
        return State(dict(state.header), {name: state.read(name) for name in state.entries})


def goes_on(path: Path, honest: State, comm: Any) -> str:
    """What a run says that begins with this state, and goes on to its end; the sentence that it stops with."""
    named = Named(TRAJECTORY.step(CUT - 1), honest.header["id"], honest.header["measurement"])
    try:
        found = begin(TRAJECTORY, configuration(), path, comm, at=CUT - 1, named=named)
        if found.continued is None:
            return "; ".join(found.notices) or "another rank says why"
        found.take(TRAJECTORY.packed(CUT, 50, comm))
        found.take(TRAJECTORY.packed(50, 60, comm))
        found.finish(now=True)
    except TopoError as error:
        # the base class stands for errors of the program
        return str(error) if type(error) is not TopoError else f"Traceback: {error}"
    read_results(path)
    return "continued"


def outcome(path: Path, honest: State, ranks: int = 1) -> str:
    with _memory_limited(MEMORY), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sum of 1e300 may overflow
        if ranks == 1:
            said = goes_on(path, honest, Alone())
        else:
            said = on_ranks(ranks, lambda comm: goes_on(path, honest, comm))[0]
    assert "Traceback" not in said
    assert "analysis failed" not in said
    assert len(said) < 1000
    assert "\n" not in said
    return said


def test_the_honest_state_is_continued(honest, tmp_path):
    honest.write(state_path(tmp_path / "a.topo.h5"))
    assert outcome(tmp_path / "a.topo.h5", honest) == "continued"
    assert outcome(tmp_path / "a.topo.h5", honest, ranks=2) == "continued"


def header(**changes: Any) -> Callable[[State], object]:
    return lambda state: state.header.update(changes)


def facts(**changes: Any) -> Callable[[State], object]:
    return lambda state: state.header.update(facts={**state.header["facts"], **changes})


def array(name: str, value: Any) -> Callable[[State], object]:
    def change(state: State) -> None:
        assert f"0/{name}" in state.arrays
        found = value(state.arrays[f"0/{name}"]) if callable(value) else np.asarray(value)
        state.arrays[f"0/{name}"] = found

    return change


def first(value: float) -> Callable[[Any], Any]:
    def change(found: Any) -> Any:
        found.flat[0] = value
        return found

    return change


NEW = "a new measurement begins"
YAML = "!!python/object/apply:os.system ['touch executed']"
TRICKS: dict[str, tuple[Callable[[State], object], str]] = {
    "a negative count": (array("msd/shared/level0.counts", first(-1.0)), "'msd', 'level0.counts' has a negative count"),
    "negative samples": (array("tally/shared/samples", -5), "in 'tally', 'samples' has a number that counts nothing"),
    "samples of another file": (array("tally/shared/samples", 36), "contradicts itself: it counts 36 samples"),
    "a clock that runs ahead": (array("msd/shared/batches.clock", 10**9), "'level0.counts' contradicts the rest"),
    "batches without samples": (array("msd/shared/batches.length", 0), "in 'msd', .*zero"),
    "a fraction of a sample": (array("tally/shared/samples", 37.0), "'samples' is float64, not int64"),
    "a list of numbers": (array("tally/shared/samples", [37, 37]), "'samples' has the shape"),
    "another shape": (array("assembly/atoms/reference", lambda a: a.repeat(2, axis=0)), "'reference' has the shape"),
    "another type": (array("assembly/atoms/reference", lambda a: a.astype(np.float32)), "'reference' is float32"),
    "imaginary atoms": (array("assembly/atoms/reference", lambda a: 1j * a), "'reference' is complex128"),
    "no number": (array("assembly/atoms/before", first(np.nan)), "'before' has a number that is not finite"),
    "infinite sums": (array("correlations/share/sums", first(np.inf)), "'sums' has a number that is not finite"),
    "origins that are not there": (array("msd/shared/level0.ring.newest", 10**6), "contradicts the rest"),
    "more origins than slots": (
        array("msd/atoms/level0.origins", lambda a: np.tile(a, (1, 99, 1))), "does not fit into",
    ),
    "half of the atoms": (array("msd/atoms/level0.base", lambda a: a[:, :3]), "of other atoms than 'owned'"),
    "an atom twice": (array("tags/owned", lambda a: np.sort(np.r_[a[:-1], a[0]])), "written for other atoms"),
    "atoms without end": (array("msd/atoms/level0.base", np.zeros((1 << 50, 0))), "of other atoms than 'owned'"),
    "no length in a list": (array("series/shared/steps", np.zeros((0,), dtype=int)), "series has other samples"),
    "stretches backwards": (array("series/shared/stretches", [0, 9, 3]), "do not follow one another"),
    "a segment too long": (array("periodograms/shared/buffer", np.zeros((32, 4, 3))), "has begun with 32"),
    "segments that never were": (array("periodograms/shared/segments", [9, 9]), "9 segments of 16 samples"),
    "a flux of other species": (array("flux/shared/last", np.zeros((7, 3))), "'last' has the shape"),
    "nothing of it": (lambda state: state.arrays.pop("0/tally/shared/samples"), "in 'tally', 'samples' is missing"),
    "something more": (lambda s: s.arrays.update({"0/tally/shared/x": np.ones(2)}), "'x' belongs to nothing"),
    "a name like a path": (lambda s: s.arrays.update({"0/../../x": np.ones(2)}), "an array that no measurement has"),
    "a rank too many": (lambda s: s.arrays.update({"7/tags/owned": np.ones(2, dtype=int)}), "lacks the part of rank 1"),
    "a block without end": (header(block=1 << 60), "its header is not complete"),
    "more atoms followed than there are": (header(followed=[1 << 40, 1 << 40]), "follows other atoms than there are"),
    "fewer species followed": (header(followed=[4]), "follows other atoms than there are"),
    "a name too long": (header(id="a" * 4096), "its header is not complete"),
    "a negative number of ranks": (header(ranks=-1), "its header is not complete"),
    "an infinite volume": (header(volume=float("inf")), "its header is not complete"),
    "other atoms": (facts(atoms=["x", {}]), r"atoms is \[3, 3\], but \[x, {}\]"),
    "a long number": (facts(timestep=10**400), "timestep is 0.001, but 1000000000"),
    "lines of a log": (facts(units="metal\nERROR: all is lost"), "units is metal, but metal ERROR: all is lost in the"),
    "tags of YAML": (facts(units=YAML), "units is metal, but !!python"),
    "tags of YAML in keys": (header(config={"host": YAML, "species": YAML}), "configuration is not understood"),
    "lists in lists": (header(history=[{}, json.loads("[" * 60 + "]" * 60)]), "its header is not"),
    "no history": (header(history="long"), "its header is not complete"),
}  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("trick", TRICKS)
def test_a_forged_state_is_refused_with_a_sentence(trick, ranks, honest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, sentence = TRICKS[trick]
    forged = honest.copy()
    change(forged)
    path = tmp_path / "a.topo.h5"
    forged.write(state_path(path))
    said = outcome(path, honest, ranks)
    assert re.search(sentence, said), said
    assert not (tmp_path / "executed").exists()


def objects(file: h5py.File) -> None:
    del file["arrays/0"]
    file["arrays"].create_dataset("0", data=[b"cos\nsystem\n(S'touch executed'\ntR."], dtype=h5py.string_dtype())


def virtual(file: h5py.File) -> None:
    shape = file["arrays/0"].shape
    layout = h5py.VirtualLayout(shape=shape, dtype="<i8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=shape)
    del file["arrays/0"]
    file["arrays"].create_virtual_dataset("0", layout)


def anew(**options: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file["arrays/0"]
        file["arrays"].create_dataset("0", **options)

    return change


@pytest.mark.parametrize(
    "change",
    [
        objects, virtual,
        anew(shape=(1 << 40,), dtype="<i8", chunks=(1 << 16,), compression="gzip"),
        anew(shape=(6,), dtype="<i8", external=[("/etc/passwd", 0, 48)]),
        anew(shape=(6,), dtype=h5py.vlen_dtype("<i8")),
        anew(shape=(6,), dtype=h5py.ref_dtype),
        anew(shape=(6,), dtype=np.dtype([("a", "<i4"), ("b", "<i4")])),
        anew(data=h5py.Empty("<i8")),
        anew(shape=(6,), dtype=">i8"),
        anew(shape=(2, 3), dtype="<i8"),
    ],
)  # fmt: skip
def test_what_only_hdf5_can_hold_is_refused(change, honest, tmp_path):
    path = state_path(tmp_path / "a.topo.h5")
    honest.write(path)
    with h5py.File(path, "r+") as file:
        change(file)
    reseal(path)
    with _memory_limited(MEMORY), pytest.raises(FileError, match=r"is damaged \("):
        verify_state(path)
    said = outcome(tmp_path / "a.topo.h5", honest)
    assert "is damaged (" in said
    assert NEW in said


@FUZZ
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_forged_bytes_of_hdf5_itself(places, tmp_path):
    """Whatever its structures are made to say: it comes to an end, without more memory than there may be."""
    path = tmp_path / "s.h5"
    write(path, ARRAYS, samples=3, step=3)
    contents = bytearray(path.read_bytes())
    begin = int(contents.split(b" ", 4)[3])
    for place, value in places:
        contents[begin + int(place * (len(contents) - begin - 1))] = value
    path.write_bytes(contents)
    reseal(path)
    try:
        with _memory_limited(MEMORY), StateFile(path) as state:
            state.verify()
            assert all(state.read(name).shape == array.shape for name, array in ARRAYS.items() if name in state.entries)
    except FileError:
        event("refused")


# ---- fuzzing --------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, -2.0, 36.0, 1e15, 2.0**62, -(2.0**63), 1e300, float("nan"), float("inf")]),
    st.floats(),
)
TYPES = st.sampled_from(["<f8", "<i8", "<c16", "<f4"])
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
        st.sampled_from([0, 1, -1, 36, 37, 180, YAML, "barycentric", "metal", "a" * 300]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """One change; ``place`` and ``other`` number arrays, entries and keys, whatever the state has."""

    kind: str
    place: int
    other: int
    number: float
    shape: list[int]
    type: str
    json: Any

    def __call__(self, state: State) -> None:
        names = list(state.arrays)
        name = names[self.place % len(names)]
        found = state.arrays[name]
        if self.kind == "entry" and found.size:
            with np.errstate(all="ignore"):
                found.flat[self.other % found.size] = np.float64(self.number).astype(found.dtype)
        elif self.kind == "array":
            state.arrays[name] = np.full(self.shape, 1).astype(self.type)
        elif self.kind == "type":
            with np.errstate(all="ignore"):
                state.arrays[name] = found.real.astype(self.type)
        elif self.kind == "longer":
            axis = self.other % max(found.ndim, 1)
            state.arrays[name] = np.concatenate((found, found), axis=axis) if found.ndim else np.tile(found, 3)
        elif self.kind == "shorter" and found.ndim:
            axis = self.other % found.ndim
            state.arrays[name] = np.take(found, range(found.shape[axis] // 2), axis=axis)
        elif self.kind == "swap":
            other = names[self.other % len(names)]
            state.arrays[name], state.arrays[other] = state.arrays[other], state.arrays[name]
        elif self.kind == "delete" and len(names) > 1:
            del state.arrays[name]
        elif self.kind == "rename":
            state.arrays[str(self.json)[:50]] = state.arrays.pop(name)
        elif self.kind in ("header", "facts", "config"):
            inner = state.header
            if self.kind != "header" and isinstance(state.header.get(self.kind), dict):
                inner = state.header[self.kind] = dict(state.header[self.kind])
            if inner:
                inner[list(inner)[self.place % len(inner)]] = self.json


KINDS = [
    "entry",
    "entry",
    "entry",
    "array",
    "type",
    "longer",
    "shorter",
    "swap",
    "delete",
    "rename",
    "header",
    "facts",
    "config",
]
MUTATIONS = st.lists(
    st.builds(
        Mutation,
        kind=st.sampled_from(KINDS),
        place=st.integers(0, 10**6),
        other=st.integers(0, 10**6),
        number=NUMBERS,
        shape=st.lists(st.integers(0, 5), max_size=5),
        type=TYPES,
        json=JSON,
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


@FUZZ
@given(mutations=MUTATIONS, ranks=st.sampled_from([1, 1, 1, 2]))
def test_forged_states_are_refused_or_can_be_worked_with(mutations, ranks, honest, tmp_path_factory):
    forged = honest.copy()
    for mutation in mutations:
        mutation(forged)
    path = tmp_path_factory.mktemp("forged") / "a.topo.h5"
    forged.write(state_path(path))
    event(re.sub(r"'[^']*'|-?[0-9.]+", "…", outcome(path, honest, ranks))[:70])
