"""The results file: round trip, replacement, damage."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest

from lammps_topo.config import parse_config
from lammps_topo.errors import FileError
from lammps_topo.measurement import Host, Measurement
from lammps_topo.store import keep_existing, read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone


@pytest.fixture
def written(tmp_path):
    """A small measurement of 4 wandering ions, written."""
    rng = np.random.default_rng(0)
    config = parse_config("species: {A: {type: 1, oxidation: 1}, B: {type: 2, oxidation: -1}}",
                          {"output": str(tmp_path / "a.topo.h5"), "segments.shortest": 32})  # fmt: skip
    types = np.array([1, 1, 2, 2])
    measurement = Measurement(config, Host("metal", 0.001, 2, types, True, True, "a", {"door": "test"}), Alone())
    measurement.begin(np.arange(1, 5), types, masses=np.ones(4), total_mass=4.0, degrees_of_freedom=9.0)
    samples = 300
    x = np.cumsum(rng.normal(size=(samples, 4, 3)), axis=0)
    rows = np.concatenate([
        np.column_stack((np.arange(1, 5), x[k], rng.normal(size=(4, 3)), [1, 1, -1, -1])) for k in range(samples)
    ])  # fmt: skip
    sums = rng.normal(size=(samples, 7)) ** 2
    measurement.finish(Packed(2 * np.arange(samples), np.full(samples, 4), rows, sums, np.full(samples, 50.0)))
    return measurement


def test_round_trip(written):
    results = read_results(written.path)
    expected = written.record()
    for item in dataclasses.fields(expected):
        ours, theirs = getattr(expected, item.name), getattr(results.record, item.name)
        if isinstance(ours, np.ndarray):
            assert np.array_equal(ours, theirs)
        elif not dataclasses.is_dataclass(ours) and item.name != "periodograms":
            assert ours == theirs, item.name
    assert np.array_equal(expected.series.moment, results.record.series.moment)
    assert np.array_equal(expected.periodograms[1].sums, results.record.periodograms[1].sums)
    assert np.array_equal(expected.msd.sums[2], results.record.msd.sums[2])
    assert results.config == written.config
    assert results.provenance["door"] == "test"
    assert [entry.quantity for entry in results.outcome.results].count("conductivity") >= 4


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_truncated_file_is_refused(written, where):
    contents = written.path.read_bytes()
    written.path.write_bytes(contents[: int(where * len(contents))])
    with pytest.raises(FileError, match=r"a\.topo\.h5"):
        read_results(written.path)


def test_changed_number_is_noticed(written):
    with h5py.File(written.path, "r+") as file:
        file["record/series/flux"][5, 0, 0] += 1e-9
    with pytest.raises(FileError, match="damaged"):
        read_results(written.path)


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("not HDF5"),
    lambda path: h5py.File(path, "w").close(),
    lambda path: path.mkdir(),
    lambda path: None,
])  # fmt: skip
def test_other_files_are_refused_with_a_sentence(make, tmp_path):
    path = tmp_path / "x.topo.h5"
    make(path)
    with pytest.raises(FileError, match=r"x\.topo\.h5"):
        read_results(path)


def test_newer_format_is_refused(written):
    with h5py.File(written.path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(FileError, match="format version 99, newer than"):
        read_results(written.path)


def test_an_earlier_file_is_kept(tmp_path):
    path = tmp_path / "a.topo.h5"
    for number in (1, 2):
        path.write_text(str(number))
        assert keep_existing(path) == tmp_path / f"a.{number}.topo.h5"
    assert keep_existing(path) is None
    assert (tmp_path / "a.2.topo.h5").read_text() == "2"
