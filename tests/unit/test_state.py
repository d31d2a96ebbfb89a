"""The state: what is restored is what was there, to the last bit; on any number of ranks; and what is refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replayed import CONFIG, EVERY, Trajectory, begin, bits, configuration, different, release

from lammps_topo import generations as g
from lammps_topo import state_file
from lammps_topo.config import parse_config
from lammps_topo.errors import ConfigError, FileError, StreamError
from lammps_topo.measurement import Host, Measurement
from lammps_topo.restart import Named
from lammps_topo.state_file import FORMAT, Entry, StateFile, pieces_of, verify_state, write_state
from lammps_topo.store import read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone

SAMPLES = 150


def same(one, other):
    ours, theirs = bits(one), bits(other)
    return ours.keys() == theirs.keys() and all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


def interrupted(trajectory, config, edges, cut, folder):
    """Blocks that end at ``edges``, with a state at ``cut``: uninterrupted, and continued from the state."""
    whole = begin(trajectory, config, folder / "a.topo.h5")
    edges = sorted({*edges, cut, trajectory.samples})
    name, first = "", 0
    for last in edges:
        whole.take(trajectory.packed(first, last))
        if last == cut:
            name = whole.save("restart")
            assert name
        first = last
    named = Named(trajectory.step(cut - 1), name, whole.name)
    rest = begin(trajectory, config, folder / "a.topo.h5", at=cut - 1, named=named)
    assert rest.continued is not None
    first = cut
    for last in edges[edges.index(cut) + 1 :]:
        rest.take(trajectory.packed(first, last))
        first = last
    return whole, rest


@st.composite
def shapes(draw):
    every = draw(st.integers(1, 4))
    msd = {
        "lags": every * draw(st.integers(2, 12)), "every": every, "levels": draw(st.integers(1, 3)),
        "stride": draw(st.integers(2, 5)), "frames": draw(st.sampled_from(["barycentric", ["host", "laboratory"]])),
    }  # fmt: skip
    correlations = draw(st.sampled_from([None, {"lags": 16, "every": 3, "atoms": 4}, {"precision": "double"}]))
    segments = {"shortest": 16, "number": draw(st.integers(1, 3))}
    series, frame = draw(st.booleans()), draw(st.sampled_from(["barycentric", "host"]))
    return {"msd": msd, "correlations": correlations, "segments": segments, "series": series, "frame": frame}


@settings(max_examples=100, deadline=None)
@given(
    shape=shapes(),
    edges=st.lists(st.integers(1, SAMPLES - 1), max_size=8),
    cut=st.integers(1, SAMPLES - 1),
    gap=st.sampled_from([None, 40, 90]),
    seed=st.integers(0, 99),
)
def test_restored_equals_uninterrupted_to_the_last_bit(tmp_path_factory, shape, edges, cut, gap, seed):
    trajectory = Trajectory(SAMPLES, seed=seed, gap=gap)
    edges = [*edges, *([gap] if gap else [])]
    folder = tmp_path_factory.mktemp("state")
    whole, rest = interrupted(trajectory, configuration(**shape), edges, cut, folder)
    assert different(whole, rest) == []
    assert different(whole, rest, record=True) == []


def test_long_runs_whose_batches_were_joined(tmp_path):
    """So long that time batches double, rings turn round, and bases move."""
    trajectory = Trajectory(3000, atoms=4)
    config = configuration(msd={"lags": 8, "every": 2, "levels": 2, "stride": 4, "frames": ["barycentric", "host"]})
    whole, rest = interrupted(trajectory, config, range(100, 3000, 100), 1234, tmp_path)
    assert different(whole, rest, record=True) == []


def test_large_arrays_go_in_many_pieces(tmp_path, monkeypatch):
    for module in ("state_file", "checkpoint"):
        monkeypatch.setattr(f"lammps_topo.{module}.PIECE_BYTES", 1000)
    whole, rest = interrupted(Trajectory(SAMPLES), configuration(), [40, 80], 77, tmp_path)
    assert different(whole, rest) == []


def test_a_state_that_has_no_new_samples_is_not_written_again(tmp_path):
    trajectory = Trajectory(60)
    found = begin(trajectory, configuration(), tmp_path / "a.topo.h5")
    found.take(trajectory.packed(0, 30))
    by_clock = found.save(g.CLOCK)
    assert found.save(g.CLOCK) == by_clock
    first = found.save("restart")  # another kind: it must outlast the clock's
    assert first not in ("", by_clock)
    assert found.save("run") == found.save(g.CLOCK) == first
    found.take(trajectory.packed(30, 60))
    assert found.save("run") != first


# ---- which state fits -----------------------------------------------------------------------------------------------


@pytest.fixture
def states(tmp_path):
    """States at 30, 60 and 90 samples, and what a LAMMPS restart file would say of them."""
    trajectory, named = Trajectory(SAMPLES), {}
    found = begin(trajectory, configuration(), tmp_path / "a.topo.h5")
    for first in (0, 30, 60):
        found.take(trajectory.packed(first, first + 30))
        named[first + 30] = Named((first + 29) * EVERY, found.save("restart"), found.name)
    found.finish(state=False, now=True)
    return trajectory, named, tmp_path / "a.topo.h5"


def test_an_older_restart_file_takes_the_older_state_and_keeps_the_later_results(states):
    trajectory, named, path = states
    found = begin(trajectory, configuration(), path, at=59, named=named[60])
    assert found.continued.samples == 60
    assert read_results(path.with_name("a.1.topo.h5")).record.samples == 90
    found.take(trajectory.packed(60, 90))
    found.finish()
    reference = read_results(path.with_name("a.1.topo.h5"))
    again = read_results(path)
    assert same(again.record, reference.record)
    assert again.provenance["measurement"] == reference.provenance["measurement"]
    assert again.provenance["continued"][0]["step"] == named[60].step


def test_results_that_the_state_holds_are_replaced(states):
    trajectory, named, path = states
    found = begin(trajectory, configuration(), path, at=89, named=named[90])
    assert found.continued.samples == 90
    assert not path.with_name("a.1.topo.h5").exists()


def test_without_a_name_the_step_and_the_places_decide(states, monkeypatch):
    """Across doors: but the states of this very process are another fix's."""
    trajectory, _, path = states
    assert begin(trajectory, configuration(), path, at=59).continued is None
    monkeypatch.setattr("lammps_topo.keeper.PROCESS", "another")
    assert begin(trajectory, configuration(), path, at=59).continued.samples == 60
    # the next sample is to come: its state is that of the last one
    assert begin(trajectory, configuration(), path, at=60).continued.samples == 60
    assert begin(trajectory, configuration(), path, at=62).continued is None
    elsewhere = dataclasses.replace(trajectory, x=trajectory.x + np.array([0.0, 0.0, 1e-3]))
    found = begin(elsewhere, configuration(), path, at=59)
    assert found.continued is None
    assert "away from where the state of step 295 has them" in found.notices[0]
    faster = dataclasses.replace(trajectory, v=2 * trajectory.v)
    found = begin(faster, configuration(), path, at=59)
    assert found.new_stretch  # velocities were changed


def test_a_state_of_one_sample_is_continued_only_by_name(tmp_path, monkeypatch):
    """Any run that begins with the same atoms would fit it."""
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(), path)
    found.take(trajectory.packed(0, 1))
    named = Named(0, found.save("run"), found.name)
    assert begin(trajectory, configuration(), path, named=named).continued.samples == 1
    monkeypatch.setattr("lammps_topo.keeper.PROCESS", "another")
    assert begin(trajectory, configuration(frame="host"), path).continued is None


def test_reset_timestep_and_renumbered_atoms_begin_anew(states):
    trajectory, named, path = states
    found = begin(trajectory, configuration(), path, at=59, named=named[60], step=0)
    assert found.continued is None
    assert "written at step 295, but the run begins at step 0 (reset_timestep" in found.notices[0]
    other = dataclasses.replace(trajectory, tags=trajectory.tags[::-1].copy())
    found = begin(other, configuration(), path, at=59, named=named[60])
    assert found.continued is None
    assert "other types or masses (reset_atoms id?)" in found.notices[0]
    swapped = trajectory.x.copy()
    swapped[:, [0, 2]] = swapped[:, [2, 0]]  # of one species
    found = begin(dataclasses.replace(trajectory, x=swapped), configuration(), path, at=59, named=named[60])
    assert found.continued is None
    assert "reset_atoms id" in found.notices[0]
    with pytest.raises(ConfigError, match="'restart' is 'require', but no state fits this run: the restart file was"):
        begin(trajectory, configuration(restart="require"), path, at=59, named=named[60], step=0)
    assert begin(trajectory, configuration(restart="never"), path, at=59, named=named[60]).continued is None


def test_a_damaged_state_falls_back_to_the_one_before(states):
    trajectory, named, path = states
    newest = g.state_path(path)
    spoil(newest)
    found = begin(trajectory, configuration(), path, at=89, named=named[90])
    assert found.continued.samples == 60
    assert found.new_stretch
    lines = "\n".join(found.notices)
    assert f"the state '{newest}' is damaged" in lines
    assert "samples after step 295 are missing: the measurement continues with a new stretch" in lines
    newest.write_bytes(newest.read_bytes()[:3000])
    assert begin(trajectory, configuration(), path, at=89, named=named[90]).continued.samples == 60
    newest.unlink()
    assert begin(trajectory, configuration(), path, at=89, named=named[90]).continued.samples == 60


def test_a_restart_file_without_a_state(states):
    trajectory, _, path = states
    found = begin(trajectory, configuration(), path, at=89, named=Named(89 * EVERY, "", ""))
    assert found.continued is None
    assert "written without a state of the measurement: a new measurement begins" in found.notices[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"msd": {"lags": 16, "every": 4, "levels": 2, "stride": 4}}, "key 'msd.lags' is 16, but 8 in the measurement"),
        ({"frame": "host"}, "key 'frame' is host, but barycentric"),
        ({"series": False}, "key 'series' is False, but True"),
        ({"correlations": None}, "pairs of correlations is .*, but .*vv"),
        ({"segments": {"shortest": 32, "number": 2}}, "key 'segments.shortest' is 32, but 16"),
    ],
)
def test_what_may_not_change(change, sentence, states):
    trajectory, named, path = states
    with pytest.raises(ConfigError, match=sentence) as caught:
        begin(trajectory, configuration(**change), path, at=59, named=named[60])
    assert "or begin a new measurement with 'restart never'" in str(caught.value)


def test_the_run_may_not_change_either(states):
    trajectory, named, path = states
    with pytest.raises(ConfigError, match=r"timestep is 0\.002, but 0\.001"):
        begin(trajectory, configuration(), path, at=59, named=named[60], timestep=0.002)
    with pytest.raises(ConfigError, match=r"N \(steps between samples\) is 1, but 5"):
        begin(trajectory, configuration(), path, at=59, named=named[60], every=1)
    fewer = dataclasses.replace(
        trajectory, tags=trajectory.tags[:-1], types=trajectory.types[:-1], mass=trajectory.mass[:-1],
        x=trajectory.x[:, :-1], v=trajectory.v[:, :-1], q=trajectory.q[:, :-1], f=trajectory.f[:, :-1],
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"atoms is \[6, 5\], but \[6, 6\]"):
        begin(fewer, configuration(), path, at=59, named=named[60])


def test_what_may_change(states):
    trajectory, named, path = states
    free = {
        "cepstral": {"cutoff": 3.0}, "einstein": {"window": [0.01, 0.02]}, "temperature": 300.0, "volume": 5.0,
        "thermo": ["samples"], "checkpoint": 0, "threads": 2, "block": 9, "generations": 5,
        "msd": {**CONFIG["msd"], "window": [0.0, 0.01]}, "correlations": {**CONFIG["correlations"], "work": 1.0},
        "gauge": {"level": 0.9}, "species": {**CONFIG["species"], "B": {**CONFIG["species"]["B"], "carrier": True}},
    }  # fmt: skip
    found = begin(trajectory, configuration(**free), path, at=59, named=named[60])
    assert found.continued.samples == 60


# ---- generations ----------------------------------------------------------------------------------------------------


def samples_of(path):
    return [g.header_of(one)["samples"] for one in g.generations(path)]


def test_generations_are_counted_and_the_clocks_go_first(tmp_path):
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(), path)
    kinds = ["run", "clock", "clock", "clock", "run", "clock", "restart", "restart", "clock"]
    kept = [[1], [2, 1], [3, 2, 1], [4, 3, 1], [5, 4, 1], [6, 5, 1], [7, 5, 1], [8, 7, 5], [9, 8, 7]]
    for number, (kind, expected) in enumerate(zip(kinds, kept, strict=True)):
        found.take(trajectory.packed(number, number + 1))
        found.save(kind)
        assert samples_of(path) == expected
    assert [one.name for one in g.generations(path)] == ["a.state.h5", "a.state.1.h5", "a.state.2.h5"]
    g.generations(path)[1].unlink()  # a gap is no harm
    found.take(trajectory.packed(9, 10))
    found.save("run")
    assert samples_of(path)[:2] == [10, 9]
    assert len(g.generations(path)) == 3


def test_one_generation_is_not_lost_to_the_clock(tmp_path):
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(generations=1), path)
    for number, (kind, expected) in enumerate([("clock", 1), ("clock", 2), ("run", 3), ("clock", 3), ("restart", 5)]):
        found.take(trajectory.packed(number, number + 1))
        found.save(kind)
        assert samples_of(path) == [expected]
    assert found.notices == []


def test_steps_of_checkpoints(tmp_path):
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(checkpoint_steps=50), path)
    for first in range(0, 40, 2):
        found.take(trajectory.packed(first, first + 1))
        found.take(trajectory.packed(first + 1, first + 2))
    assert samples_of(path) == [31, 21, 11]


def test_no_state_on_request(tmp_path):
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(state=False, checkpoint_steps=5), path)
    found.take(trajectory.packed(0, 20))
    assert found.save("restart") == ""
    found.finish()
    assert not g.generations(path)


# ---- the file -------------------------------------------------------------------------------------------------------


def spoil(path: Path) -> None:
    """Turn a bit in the last third, where there are arrays."""
    contents = bytearray(path.read_bytes())
    contents[2 * len(contents) // 3] ^= 16
    path.write_bytes(contents)


def reseal(path: Path) -> None:
    """Make the digests right for what there is: what one who forges a file can do."""
    line, rest = path.read_bytes().split(b"\n", 1)
    words = line.split()
    block, length = int(words[3]), int(words[5])
    size, behind = path.stat().st_size, path.read_bytes()[block:]
    sealed = f"{FORMAT} 2 {size} {block} {sha256(behind).hexdigest()} {length} {words[6].decode()}\n".encode()
    path.write_bytes((sealed + rest[:length]).ljust(block, b"\0") + behind)


def write(path, arrays, **header):
    entries = [Entry(name, array.shape, array.dtype.str) for name, array in arrays.items()]
    return write_state(path, header, entries, (piece for array in arrays.values() for piece in pieces_of(array)))


ARRAYS = {
    "a": np.arange(24.0).reshape(2, 3, 4), "empty": np.zeros((0, 3)), "one": np.array(7), "c": 1j * np.ones(5),
    "single": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}  # fmt: skip


def test_file_round_trip(tmp_path):
    size = write(tmp_path / "s.h5", ARRAYS, step=3, text="é")
    assert size == (tmp_path / "s.h5").stat().st_size
    with StateFile(tmp_path / "s.h5") as state:
        state.verify()
        assert state.header == {"step": 3, "text": "é"}
        for name, array in ARRAYS.items():
            assert np.array_equal(state.read(name), array)
            assert state.read(name).dtype == array.dtype


@pytest.mark.parametrize("room", [0, 100, 3000, 8000, 20_000])
def test_a_full_disk_leaves_nothing_and_says_so(room, tmp_path, monkeypatch):
    class Full(state_file._Disk):
        def write(self, data):
            if self._raw.tell() + len(memoryview(data).cast("B")) > room:
                self.problem = self.problem or OSError(28, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(state_file, "_Disk", Full)
    with pytest.raises(FileError, match="cannot be written: No space left on device"):
        write(tmp_path / "s.h5", {"a": np.arange(30000.0), "b": np.arange(30000.0)})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_does_not_end_the_run(tmp_path):
    """Of the real kind: the limit of a file's size. The states that there are remain."""
    trajectory, path = Trajectory(SAMPLES), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(), path)
    found.take(trajectory.packed(0, 30))
    assert found.save("run")
    release()
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from replayed import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
trajectory = Trajectory({SAMPLES})
found = begin(trajectory, configuration(), Path({str(path)!r}), at=29)
assert found.continued.samples == 30
found.take(trajectory.packed(30, 60))
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
assert found.save("run") == ""
print(found.notices[-1])
found.take(trajectory.packed(60, 90))
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "WARNING: the state of step 295 is not kept" in finished.stdout
    assert "File too large" in finished.stdout
    assert samples_of(path) == [30]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.state.h5"]


def test_results_are_no_state_and_a_newer_format_is_named(tmp_path):
    path = tmp_path / "s.h5"
    write(path, ARRAYS)
    contents = path.read_bytes()
    path.write_bytes(contents.replace(b"state 2 ", b"state 9 ", 1))
    with pytest.raises(FileError, match="format version 9, but this lammps_topo reads 2"):
        verify_state(path)
    path.write_bytes(contents[:-1])
    with pytest.raises(FileError, match=f"it has {len(contents) - 1} bytes, not the {len(contents)} that were written"):
        verify_state(path)
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.attrs.update({"format": "lammps-topo", "format_version": 1, "sha256": ""})
    for other in (b"", b"not HDF5", (tmp_path / "r.h5").read_bytes()):
        path.write_bytes(other)
        with pytest.raises(FileError, match="not a state of lammps_topo"):
            verify_state(path)
    with pytest.raises(FileError, match="no such file"):
        verify_state(tmp_path / "none.h5")


def listed(change):
    def forge(file):
        listing = json.loads(file["listing"][()].tobytes())
        change(listing)
        del file["listing"]
        file["listing"] = np.frombuffer(json.dumps(listing).encode(), dtype=np.uint8)

    return forge


@pytest.mark.parametrize(
    "change",
    [
        listed(lambda listing: listing[0].__setitem__(1, [1 << 62, 8])),
        listed(lambda listing: listing[0].__setitem__(1, [-2, -12])),
        listed(lambda listing: listing[0].__setitem__(2, "|O")),
        listed(lambda listing: listing[0].__setitem__(1, "text")),
        listed(lambda listing: listing.pop()),
        listed(lambda listing: listing.append(listing[0])),
        lambda file: file.pop("arrays"),
        lambda file: file.pop("listing"),
        lambda file: file["arrays"].__delitem__("0") or file["arrays"].__setitem__("0", h5py.SoftLink("/listing")),
        lambda file: file["arrays"].__delitem__("0") or file["arrays"].__setitem__("0", h5py.ExternalLink("x", "/")),
        lambda file: file["arrays"].__delitem__("0") or file["arrays"].__setitem__("0", file["arrays"]),
        lambda file: file["arrays"].__delitem__("0") or file["arrays"].create_dataset("0", (1 << 50,), "<f8"),
    ],
)
def test_hostile_files_are_refused(change, tmp_path):
    write(tmp_path / "s.h5", ARRAYS)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        change(file)
    with pytest.raises(FileError, match="is damaged: it"):
        verify_state(tmp_path / "s.h5")
    reseal(tmp_path / "s.h5")
    with pytest.raises(FileError, match=r"is damaged \("):
        verify_state(tmp_path / "s.h5")


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1), length=st.integers(1, 64), seed=st.integers(0, 1 << 30))
def test_damage_anywhere_is_seen_or_harmless(tmp_path_factory, place, length, seed):
    """Bytes overwritten at random: the contents are right, or a sentence says that they are not."""
    path = tmp_path_factory.mktemp("damage") / "s.h5"
    write(path, ARRAYS, step=3)
    contents = bytearray(path.read_bytes())
    begin = int(place * (len(contents) - 1))
    noise = np.random.default_rng(seed).integers(0, 256, len(contents[begin : begin + length]), dtype=np.uint8)
    contents[begin : begin + length] = noise.tobytes()
    path.write_bytes(contents)
    try:
        with StateFile(path) as state:
            state.verify()
            assert state.header == {"step": 3}
            assert all(np.array_equal(state.read(name), array) for name, array in ARRAYS.items())
    except FileError:
        pass


# ---- ranks ----------------------------------------------------------------------------------------------------------

_RANKS = """
import sys
sys.path.insert(0, {here!r})
from mpi4py import MPI
from replayed import *
from lammps_topo.stream.communicator import Ranks
comm = Ranks(MPI.COMM_WORLD)
trajectory = Trajectory(120, atoms=23)
path, first, last = Path("a.topo.h5"), int(sys.argv[1]), int(sys.argv[2])
whole = begin(trajectory, configuration(), path, comm, at=max(first - 1, 0))
assert (whole.continued is None) == (first == 0), whole.notices
assert whole.continued is None or whole.continued.samples == first
for begins in range(first, last, 15):
    whole.take(trajectory.packed(begins, min(begins + 15, last), comm))
    if begins == first:  # and once more from here, on the same ranks
        name = whole.save("restart")
        named = Named((begins + 14) * EVERY, name, whole.name)
again = begin(trajectory, configuration(), path, comm, at=first + 14, named=named)
for begins in range(first + 15, last, 15):
    again.take(trajectory.packed(begins, min(begins + 15, last), comm))
assert not any(comm.collect(different(whole, again))), comm.collect(different(whole, again))
whole.finish(now=True)
"""


def test_from_one_rank_to_two_to_three_to_one(tmp_path):
    pytest.importorskip("mpi4py")
    (tmp_path / "ranks.py").write_text(_RANKS.format(here=str(Path(__file__).parent)))
    mpirun = str(Path(sys.executable).parent / "mpirun")
    for ranks, first, last in [(1, 0, 30), (2, 30, 60), (3, 60, 90), (1, 90, 120)]:
        subprocess.run(
            [mpirun, "-np", str(ranks), sys.executable, "ranks.py", str(first), str(last)],
            cwd=tmp_path, check=True, timeout=120,
        )  # fmt: skip
    trajectory = Trajectory(120, atoms=23)
    whole = begin(trajectory, configuration(), tmp_path / "whole.topo.h5")
    for begins in range(0, 120, 15):
        whole.take(trajectory.packed(begins, begins + 15))
    whole.finish(now=True)
    results = read_results(tmp_path / "a.topo.h5")
    assert [entry["ranks"] for entry in results.provenance["continued"]] == [1, 2, 3]
    ours, theirs = bits(results.record), bits(read_results(tmp_path / "whole.topo.h5").record)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        tolerance = 1e-12 if "correlations.sums" not in name else 1e-6  # products in single precision
        scale = np.abs(value).max(initial=0.0) if value.dtype.kind in "fc" else 0.0
        assert (
            np.abs(ours[name] - value).max(initial=0.0) <= tolerance * scale if scale else (ours[name] == value).all()
        )


def test_check_knows_states(tmp_path):
    from click.testing import CliRunner

    from lammps_topo.cli import main

    def measurement_with_state():
        host = Host("metal", 0.001, 2, np.array([1, 1]), False, True, "run")
        measurement = Measurement(parse_config(None, {"output": str(tmp_path / "run.topo.h5")}), host, Alone())
        measurement.begin(np.array([1, 2]), np.array([1, 1]), masses=np.ones(2), total_mass=2.0, degrees_of_freedom=3.0)
        rng, number = np.random.default_rng(1), 20
        rows = np.column_stack((np.tile([1.0, 2.0], number), rng.normal(size=(2 * number, 6))))
        sums = np.abs(rng.normal(size=(number, 7)))
        measurement.finish(Packed(2 * np.arange(number), np.full(number, 2), rows, sums, np.ones(number)), now=True)
        measurement.close()

    measurement_with_state()
    state = tmp_path / "run.state.h5"
    finished = CliRunner().invoke(main, ["check", str(state), str(tmp_path / "run.topo.h5")])
    assert finished.exit_code == 0, finished.output
    assert "state of 20 samples until step 38" in finished.output
    contents = bytearray(state.read_bytes())
    contents[-100] ^= 1
    state.write_bytes(contents)
    finished = CliRunner().invoke(main, ["check", str(state)])
    assert finished.exit_code == 1
    assert finished.output.startswith("bad: ")


# ---- fluxes that LAMMPS computes as a whole -------------------------------------------------------------------------


def with_numbers(trajectory, first, last, bad=None):
    packed = trajectory.packed(first, last)
    numbers = np.array([np.random.default_rng(k).normal(size=9) for k in range(first, last)])
    if bad is not None and first <= bad < last:
        numbers[bad - first, 4] = np.nan
    return dataclasses.replace(packed, numbers=numbers)


def test_global_fluxes_continue_and_are_read_back(tmp_path):
    trajectory, config = Trajectory(60), configuration(heat="c_flux", stress="c_p")
    whole = begin(trajectory, config, tmp_path / "a.topo.h5")
    whole.take(with_numbers(trajectory, 0, 25))
    named = Named(trajectory.step(24), whole.save("restart"), whole.name)
    rest = begin(trajectory, config, tmp_path / "a.topo.h5", at=24, named=named)
    for measurement in (whole, rest):
        measurement.take(with_numbers(trajectory, 25, 60))
    assert different(whole, rest) == []
    rest.finish(now=True)
    record = read_results(tmp_path / "a.topo.h5").record
    assert same(record, whole.record())
    assert record.flux_names[4:] == ("energy/energy", "stress/shear", "stress/normal")
    assert record.series.flux.shape == (60, 7, 3)
    assert record.series.moment.shape == (60, 4, 3)
    assert np.array_equal(record.series.flux[:, 4], with_numbers(trajectory, 0, 60).numbers[:, :3])
    release()
    others = configuration(fluxes={"energy": "c_flux"}, stress="c_p")
    with pytest.raises(ConfigError, match="global fluxes is"):
        begin(trajectory, others, tmp_path / "a.topo.h5", at=24, named=named)


def test_a_global_flux_that_is_not_finite(tmp_path):
    trajectory, config = Trajectory(40), configuration(heat="c_flux", stress="c_p")
    measurement = begin(trajectory, config, tmp_path / "a.topo.h5")
    with pytest.raises(StreamError, match=r"'c_p\[2\]' is not a finite number at step 85"):
        measurement.take(with_numbers(trajectory, 0, 40, bad=17))
    assert read_results(tmp_path / "a.topo.h5").record.samples == 17
