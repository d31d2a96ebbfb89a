"""Results files from anybody: damage and malice end in one sentence. LAMMPS_TOPO_FUZZ=5000 for longer fuzzing."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from lammps_topo.cli import main
from lammps_topo.config import parse_config
from lammps_topo.errors import FileError, TopoError
from lammps_topo.estimate.summary import estimate
from lammps_topo.measurement import Host, Measurement
from lammps_topo.merge import merge_files
from lammps_topo.report.table import provenance_text, results_table
from lammps_topo.store import Results, _digest, read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone

OLD = Path(__file__).parents[1] / "data" / "format-1.topo.h5"
FUZZ = settings(
    max_examples=int(os.environ.get("LAMMPS_TOPO_FUZZ", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def measure(path: Path, seed: int, samples: int = 64) -> Path:
    """Two ions that wander, with everything that a file can hold."""
    rng = np.random.default_rng(seed)
    config = parse_config(
        "species: {A: {type: 1, oxidation: 1}, B: {type: 2, oxidation: -1}}",
        {
            "output": str(path), "segments.shortest": 16, "segments.number": 2, "correlations.lags": 16,
            "msd.lags": 8, "msd.levels": 2, "msd.stride": 4,
        },
    )  # fmt: skip
    types = np.array([1, 2])
    measurement = Measurement(config, Host("metal", 0.001, 2, types, True, True, "a", {"door": "test"}), Alone())
    measurement.begin(np.array([1, 2]), types, masses=np.ones(2), total_mass=2.0, degrees_of_freedom=3.0)
    v = rng.normal(size=(samples, 2, 3))
    x = np.cumsum(0.002 * v, axis=0)
    rows = np.concatenate([np.column_stack(([1, 2], x[k], v[k], [1, -1])) for k in range(samples)])
    sums = np.column_stack(((v**2).sum(axis=(1, 2)), v.sum(axis=1), x.sum(axis=1)))
    measurement.finish(Packed(2 * np.arange(samples), np.full(samples, 2), rows, sums, np.full(samples, 50.0)))
    measurement.close()
    return path


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> bytes:
    """A merged file: all kinds of records are in it."""
    folder = tmp_path_factory.mktemp("honest")
    merge_files([measure(folder / f"{seed}.topo.h5", seed) for seed in (1, 2)], folder / "all.topo.h5")
    return (folder / "all.topo.h5").read_bytes()


def changed(contents: bytes, change: Callable[[h5py.File], object], *, digest: bool = True) -> bytes:
    """The file after a change, with a checksum that fits."""
    image = io.BytesIO(contents)
    with h5py.File(image, "r+") as file:
        change(file)
        if digest:
            file.attrs["sha256"] = _digest(file)
    return image.getvalue()


def put(path: Path, contents: bytes) -> Path:
    path.write_bytes(contents)
    return path


# ---- single tricks --------------------------------------------------------------------------------------------------


def replace(name: str, **options: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def attribute(group: str, name: str, value: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        file[group].attrs[name] = value

    return change


def text(name: str, value: str) -> Callable[[h5py.File], object]:
    return replace(name, data=value)


def link(name: str, target: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target(file) if callable(target) else target

    return change


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    del file["record/mean_charge"]
    file.create_virtual_dataset("record/mean_charge", layout)


def references(file: h5py.File) -> None:
    del file["record/mean_charge"]
    file.create_dataset("record/mean_charge", data=[file["record"].ref, file["curves"].ref], dtype=h5py.ref_dtype)


NAMELESS = {"quantity": 1, "of": [], "method": {}, "unit": 0, "value": 1, "error": 1}
ENORMOUS = {"quantity": "x", "of": "x", "method": "x", "unit": "x", "value": 10**400, "error": 1}

TRICKS: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "a declared size that is not there": (
        replace("record/series/flux", shape=(1 << 40, 4, 3), dtype="f8"),
        "not all there",
    ),
    "a compressed bomb": (
        replace("record/series/flux", shape=(1 << 36, 4, 3), dtype="f8", chunks=(1 << 16, 4, 3), compression="gzip"),
        "compressed or scattered",
    ),
    "data in another file": (
        replace("record/mean_charge", shape=(2,), dtype="f8", external=[("/etc/passwd", 0, 16)]),
        "another file|scattered",
    ),
    "data of many files": (virtual, "compressed or scattered"),
    "a soft link": (link("record/series", h5py.SoftLink("/record/msd")), "link to something else"),
    "an external link": (link("record/series", h5py.ExternalLink("other.topo.h5", "/record")), "link to something"),
    "a group in itself": (link("curves", lambda file: file["/"]), "contains itself|more than the whole file"),
    "objects": (references, "neither numbers nor text"),
    "text for numbers": (replace("record/mean_charge", data="many"), "not an array"),
    "texts for numbers": (replace("record/population", data=["a", "b"], dtype=h5py.string_dtype()), "neither numbers"),
    "numbers of another type": (replace("record/population", data=[1.5, 2.5]), "not an array"),
    "ragged numbers": (
        replace("record/population", shape=(2,), dtype=h5py.vlen_dtype("f8")), "neither numbers nor text",
    ),
    "another shape": (replace("record/population", data=np.array([[1, 1]])), "population has the shape"),
    "a missing part": (lambda file: file.__delitem__("record/msd"), "msd.*is missing"),
    "infinite lags": (attribute("record/msd", "stride", 1 << 61), "lags of stride"),
    "an array as attribute": (attribute("record", "volume", np.ones(9)), "neither a number nor a text"),
    "a text as number": (attribute("record", "volume", "huge"), "'volume' is a str"),
    "no number": (attribute("record", "interval", float("nan")), "interval is nan"),
    "unknown units": (attribute("record", "units", "imperial"), "units"),
    "deep lists": (text("results", "[" * 100_000 + "]" * 100_000), "recursion|Recursion|without end"),
    "lists in lists": (text("provenance", '{"a": ' + "[" * 200 + "]" * 200 + "}"), "without end"),
    "a long number": (text("results", "9" * 5000), "not a complete results file"),
    "results that are none": (text("results", json.dumps([NAMELESS])), "no name"),
    "results too large": (text("results", json.dumps([ENORMOUS])), "too large"),
    "notes that are none": (text("notes", "[1]"), "a note is not text"),
    "another configuration": (text("config", '{"species": 7}'), "species"),
    "curves that do not fit": (replace("curves/cutoffs:oxidation/x", data=np.zeros(99)), "the shapes"),
    "replicas that do not add up": (attribute("record/replicas/0", "samples", 7), "the replicas have"),
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_hostile_contents_are_refused_with_a_sentence(trick, contents, tmp_path):
    change, words = TRICKS[trick]
    path = put(tmp_path / "x.topo.h5", changed(contents, change, digest=False))
    try:
        hostile = changed(contents, change)
    except Exception:  # its digest cannot be computed: too large, or a link to nowhere
        hostile = path.read_bytes()
    with pytest.raises(FileError, match=words) as error:
        read_results(put(path, hostile))
    assert "x.topo.h5" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("version", [0, -1, 2**62, "one", float("inf")])
def test_a_format_that_never_was_is_refused(version, contents, tmp_path):
    hostile = changed(contents, lambda file: file.attrs.__setitem__("format_version", version))
    with pytest.raises(FileError):
        read_results(put(tmp_path / "x.topo.h5", hostile))


def test_a_device_and_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.topo.h5")
    for path in (Path("/dev/zero"), tmp_path / "pipe.topo.h5"):
        with pytest.raises(FileError, match="not a file"):
            read_results(path)


def test_a_text_that_claims_gigabytes_takes_no_memory(contents, tmp_path):
    """HDF5 makes room for the length that is declared before it looks for the text."""
    with h5py.File(io.BytesIO(contents)) as file:
        place = file["config"].id.get_offset()
    hostile = bytearray(contents)
    hostile[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path = put(tmp_path / "x.topo.h5", bytes(hostile))
    program = "import sys; from lammps_topo.store import read_results; read_results(sys.argv[1])"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    finished = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60)
    assert "FileError" in finished.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 1 << 20)  # KiB


# ---- fuzzing --------------------------------------------------------------------------------------------------------


def same(one: Results, two: Results) -> bool:
    return one.sha256 == two.sha256 and repr(one.outcome) == repr(two.outcome) and one.given == two.given


@FUZZ
@given(data=st.data())
def test_random_damage_is_noticed_or_harmless(data, contents, tmp_path):
    path = put(tmp_path / "honest.topo.h5", contents)
    honest = read_results(path)
    broken = bytearray(contents)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.integers(0, 4)) == 0:
        broken = broken[: data.draw(st.integers(0, len(broken)))]
    try:
        found = read_results(put(path, bytes(broken)))
    except FileError:
        event("refused")
    else:
        event("harmless")
        assert same(found, honest)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 2, 3, -1, 0.0, -1.0, 1e308, 1e-308, float("nan"), float("inf")]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["A", "B", "oxidation", "host", "vv", "[]", "{}", '["A"]', '["A", "A"]', '{"A": 1}', "[[[]]]", "NaN"]
    ),
)
SHAPES = st.lists(st.integers(0, 5), max_size=5)
TYPES = st.sampled_from(["f8", "i8", "c16", "f4", "u1", "?", "S5"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def objects(contents: bytes) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of all objects, and of all attributes."""
    names: list[str] = []
    attributes: list[tuple[str, str]] = []
    with h5py.File(io.BytesIO(contents)) as file:
        file.visititems(lambda name, item: names.append(name))
        for name in names:
            attributes += [(name, key) for key in file[name].attrs]
    return names, attributes


@dataclass(frozen=True)
class Mutation:
    """One change; ``place`` and ``other`` number objects and attributes, whatever the file has."""

    kind: str
    place: int
    other: int
    value: Any
    entry: float
    shape: list[int]
    type: str
    json: Any

    def __call__(self, file: h5py.File, names: list[str], attributes: list[tuple[str, str]]) -> None:
        name, other = names[self.place % len(names)], names[self.other % len(names)]
        if self.kind == "attribute":
            name, key = attributes[self.place % len(attributes)]
            if self.value is None:
                del file[name].attrs[key]
            else:
                file[name].attrs[key] = self.value
        elif self.kind == "entry":
            values = np.asarray(file[name])
            values.flat[self.other % values.size] = self.entry
            file[name][...] = values
        elif self.kind == "json":
            name = ("results", "notes", "config", "given", "provenance")[self.place % 5]
            del file[name]
            file[name] = json.dumps(self.json)
        else:
            target = file[other]
            del file[name]
            if self.kind == "array":
                file.create_dataset(name, data=np.full(self.shape, 1).astype(self.type))
            elif self.kind == "link":
                choices = [h5py.SoftLink(f"/{other}"), h5py.ExternalLink("x.topo.h5", "/"), target]
                file[name] = choices[self.other % 3]


MUTATIONS = st.lists(
    st.builds(
        Mutation,
        kind=st.sampled_from(["attribute", "attribute", "entry", "entry", "array", "json", "delete", "link"]),
        place=st.integers(0, 10**6),
        other=st.integers(0, 10**6),
        value=VALUES,
        entry=st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e15]), st.floats()),
        shape=SHAPES,
        type=TYPES,
        json=JSON,
    ),
    min_size=1,
    max_size=3,
)


@FUZZ
@given(mutations=MUTATIONS)
def test_forged_files_are_refused_or_can_be_worked_with(mutations, contents, tmp_path):
    """Anything may be in a file, the checksum fits: FileError, or contents that all the rest can use."""
    names, attributes = objects(contents)

    def change(file: h5py.File) -> None:
        for mutation in mutations:
            # what HDF5 itself cannot write or no longer finds, and entries of empty arrays
            with suppress(KeyError, ValueError, TypeError, ArithmeticError, OSError, RuntimeError):
                mutation(file, names, attributes)

    forged = changed(contents, change)
    assume(forged != contents)
    try:
        found = read_results(put(tmp_path / "x.topo.h5", forged))
    except FileError as error:
        event(re.sub(r"'[^']*'|-?[0-9.]+", "…", str(error).split("contradicts itself: ")[-1])[:60])
        return
    event("read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results_table(found)
        provenance_text(found)
        try:
            estimate(found.record, found.config)
        except TopoError:
            event("not estimated")


# ---- the command ----------------------------------------------------------------------------------------------------


def test_check_says_which_file_is_bad(contents, tmp_path):
    good, bad, none = (tmp_path / f"{name}.topo.h5" for name in ("good", "bad", "none"))
    put(good, contents)
    put(bad, contents[: len(contents) // 2])
    run = CliRunner().invoke(main, ["check", str(good), str(bad), str(none)])
    assert run.exit_code == 1
    first, second, third = run.output.splitlines()
    assert first.startswith("ok:")
    assert "1 A, 1 B; 128 samples, 2 runs, steps 0 to 126" in first
    assert second.startswith("bad:")
    assert "bad.topo.h5" in second
    assert "No such file" in third
    assert CliRunner().invoke(main, ["check", str(good)]).exit_code == 0


# ---- files of earlier versions --------------------------------------------------------------------------------------


def test_a_file_from_before_correlations_is_read_and_estimated_again():
    """Written by commit b7df2fb: four atoms of one charged species, 72 samples. Estimators as they were agree."""
    results = read_results(OLD)
    assert results.format_version == 1
    assert results.record.correlations is None
    assert results.record.replicas == ()
    assert results.record.msd.frames == ("laboratory",)
    again = estimate(results.record, results.config)
    now, then = ({(one.quantity, one.of, one.method): one for one in each.results} for each in (again, results.outcome))
    assert {quantity for quantity, _, _ in then} <= {quantity for quantity, _, _ in now}
    for key in then:
        if key[2] in ("measured", "cepstral", "green-kubo"):
            assert now[key].value == pytest.approx(then[key].value, rel=1e-9)
            assert now[key].error == pytest.approx(then[key].error, rel=1e-9)
