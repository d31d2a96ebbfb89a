"""Merging replicas: equal to one analysis of all, in any order; what does not belong together is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lammps_topo import merge
from lammps_topo.cli import main
from lammps_topo.config import parse_config
from lammps_topo.errors import FileError
from lammps_topo.estimate.current_spectrum import representation_spectrum
from lammps_topo.estimate.result import Outcome
from lammps_topo.estimate.summary import estimate
from lammps_topo.measurement import Host, Measurement
from lammps_topo.merge import merge_records
from lammps_topo.record import Record, inconsistency
from lammps_topo.store import read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone

INTERVAL = 0.002
NUMBERS = count()
SETTINGS: dict[str, Any] = {
    "segments.shortest": 32, "segments.number": 3, "msd.lags": 32, "msd.levels": 2, "msd.stride": 32,
    "msd.window": [0.02, 0.06], "einstein.window": [0.02, 0.06], "correlations.lags": 16, "block": 64,
}  # fmt: skip
CONFIG = parse_config("species: {A: {type: 1, oxidation: 1}, B: {type: 2, oxidation: -1}}", SETTINGS)


def ions(samples: int, seed: int, *, temperature: float = 1.0, first: int = 0) -> Packed:
    """Four ions whose velocities are correlated noise."""
    rng = np.random.default_rng(seed)
    v = np.sqrt(temperature) * rng.normal(size=(samples, 4, 3))
    v[1:] += 0.6 * v[:-1]
    x = np.cumsum(INTERVAL * v, axis=0)
    charges = [1, 1, -1, -1]
    rows = np.concatenate([np.column_stack((np.arange(1, 5), x[k], v[k], charges)) for k in range(samples)])
    sums = np.column_stack(((v**2).sum(axis=(1, 2)), v.sum(axis=1), x.sum(axis=1)))
    steps = first + 2 * np.arange(samples)
    return Packed(steps, np.full(samples, 4), rows, sums, np.full(samples, 50.0))


def measure(*pieces: Packed, path: Path | None = None, **changes: Any) -> Measurement:
    """One measurement, a stretch for each piece."""
    output = {"output": str(path)} if path else {}
    config = parse_config(
        "species: {A: {type: 1, oxidation: 1}, B: {type: 2, oxidation: -1}}", {**SETTINGS, **output, **changes}
    )
    types = np.array([1, 1, 2, 2])
    name = f"{tempfile.gettempdir()}/unwritten{os.getpid()}-{next(NUMBERS)}"
    host = Host("metal", INTERVAL / 2, 2, types, True, True, name, {"door": "test"})
    measurement = Measurement(config, host, Alone())
    measurement.begin(np.arange(1, 5), types, masses=np.ones(4), total_mass=4.0, degrees_of_freedom=9.0)
    for piece in pieces:
        measurement.take(piece, new_stretch=True)
    if path:
        measurement.close()
    return measurement


@cache
def replica(samples: int, seed: int, temperature: float = 1.0) -> Record:
    record = measure(ions(samples, seed, temperature=temperature)).record()
    assert record is not None
    return record


def close(one: Any, two: Any, *, leaving_out: tuple[str, ...] = ()) -> None:
    """Two records, or what is in them, are equal to rounding."""
    if dataclasses.is_dataclass(one):
        for item in dataclasses.fields(one):
            if item.name not in leaving_out:
                close(getattr(one, item.name), getattr(two, item.name))
    elif isinstance(one, (float, np.ndarray)):
        scale = float(np.nanmax(np.abs(one), initial=0.0)) if np.size(one) else 0.0
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12 * scale)
    elif isinstance(one, tuple) and one and not isinstance(one[0], str):
        assert len(one) == len(two)
        for ours, theirs in zip(one, two, strict=True):
            close(ours, theirs)
    else:
        assert one == two


def same_results(one: Outcome, two: Outcome, *, errors_of: tuple[str, ...] | None = None) -> None:
    assert [(r.quantity, r.of, r.method) for r in one.results] == [(r.quantity, r.of, r.method) for r in two.results]
    for ours, theirs in zip(one.results, two.results, strict=True):
        assert theirs.value == pytest.approx(ours.value, rel=1e-6, nan_ok=True), ours
        if errors_of is None or ours.quantity in errors_of:
            assert theirs.error == pytest.approx(ours.error, rel=1e-6, nan_ok=True), ours


# ---- the sums -------------------------------------------------------------------------------------------------------


def test_merging_pieces_equals_one_analysis_of_them(monkeypatch):
    """Batches of 32 or 64 samples: those of four pieces of 256 or 512 samples are those of all 1024 or 2048."""
    for samples in (256, 512):
        pieces = [ions(samples, seed, first=10_000 * seed) for seed in range(4)]
        whole = measure(*pieces).record()
        merged = merge_records([measure(piece).record() for piece in pieces])
        assert whole is not None
        # the error of the mean temperature comes from other blocks; the rest is the same
        apart = ("temperature_error", "replicas", "correlations")
        close(whole, merged, leaving_out=apart)
        assert merged.temperature_error == pytest.approx(whole.temperature_error, rel=0.5)
        assert whole.correlations is not None
        assert merged.correlations is not None
        close(whole.correlations.sums.sum(axis=0), merged.correlations.sums.sum(axis=0))
        close(whole.correlations.counts.sum(axis=0), merged.correlations.counts.sum(axis=0))
        assert inconsistency(merged) is None
        ours, theirs = estimate(whole, CONFIG), estimate(merged, CONFIG)
        untouched = [
            (one, two) for one, two in zip(ours.results, theirs.results, strict=True)
            if one.quantity in ("conductivity", "diffusion", "volume", "duration") and one.method != "vacf"
        ]  # fmt: skip
        assert len(untouched) >= 10
        for one, two in untouched:
            assert (one.quantity, one.of, one.method) == (two.quantity, two.of, two.method)
            assert two.value == pytest.approx(one.value, rel=1e-8)
            assert two.error == pytest.approx(one.error, rel=1e-8)


SIZES = (96, 200, 300, 131)


@st.composite
def bracketings(draw: st.DrawFn) -> Any:
    """The numbers 0 … 3 in any order and nesting."""
    parts: list[Any] = list(draw(st.permutations(range(len(SIZES)))))
    while len(parts) > 1:
        first = draw(st.integers(0, len(parts) - 2))
        number = draw(st.integers(2, len(parts) - first))
        parts[first : first + number] = [parts[first : first + number]]
    return parts[0]


def merged(nesting: Any) -> Record:
    if isinstance(nesting, int):
        return replica(SIZES[nesting], seed=nesting)
    return merge_records([merged(part) for part in nesting])


@cache
def straight() -> tuple[Record, Outcome]:
    record = merged(list(range(len(SIZES))))
    return record, estimate(record, CONFIG)


@settings(max_examples=12, deadline=None)
@given(nesting=bracketings())
def test_order_and_nesting_do_not_matter(nesting):
    record, outcome = straight()
    found = merged(nesting)
    close(record, found)
    same_results(outcome, estimate(found, CONFIG))


@settings(max_examples=20, deadline=None)
@given(nesting=bracketings(), most=st.integers(1, 40))
def test_order_and_nesting_do_not_matter_where_batches_are_added(nesting, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "MOST_BATCHES", most)
        close(merged(list(range(len(SIZES)))), merged(nesting))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 150), st.integers(0, 3)), min_size=2, max_size=5, unique=True))
def test_totals_are_kept(chosen):
    records = [replica(samples, seed=1000 * seed + samples) for samples, seed in chosen]
    found = merge_records(records)
    for name in ("msd", "dipole"):
        parts = [getattr(record, name) for record in records]
        for level in range(2):
            total = sum(part.sums[level].sum(axis=0) for part in parts)
            np.testing.assert_allclose(getattr(found, name).sums[level].sum(axis=0), total, rtol=1e-10, atol=1e-18)
            counts = sum(part.counts[level].sum(axis=0) for part in parts)
            np.testing.assert_array_equal(getattr(found, name).counts[level].sum(axis=0), counts)
    assert found.samples == sum(record.samples for record in records)
    assert found.duration == pytest.approx(sum(record.duration for record in records))
    assert len(found.replicas) == len(records)
    assert inconsistency(found) is None


def test_temperature_and_charge_are_means_over_samples():
    one, two = replica(100, 1), replica(300, 2)
    found = merge_records([one, two])
    assert found.temperature == pytest.approx((one.temperature + 3 * two.temperature) / 4)
    error = np.hypot(one.temperature_error, 3 * two.temperature_error) / 4
    assert found.temperature_error == pytest.approx(error)
    np.testing.assert_allclose(found.mean_charge, [1.0, -1.0])
    assert found.notes == ()


def test_temperatures_far_apart_are_said_not_refused():
    cold, hot, third = replica(200, 1), replica(200, 2, temperature=2.0), replica(200, 3)
    found = merge_records([cold, hot])
    assert len(found.notes) == 1
    assert "sample different states" in found.notes[0]
    again = merge_records([found, third])
    assert len(again.notes) == 1
    assert found.notes[0] in estimate(found, CONFIG).notes


# ---- what estimates make of it --------------------------------------------------------------------------------------


def test_replicas_of_equal_length_give_three_degrees_of_freedom_each():
    found = merge_records([replica(256, seed) for seed in range(5)])
    spectrum = representation_spectrum(found, "oxidation")
    assert spectrum.dof == 15
    assert spectrum.segment == 256
    parts = [representation_spectrum(replica(256, seed), "oxidation").matrix for seed in range(5)]
    np.testing.assert_allclose(spectrum.matrix, np.mean(parts, axis=0))


@pytest.mark.parametrize(
    ("lengths", "segment", "segments"),
    [
        ((256, 255), 254, 2),  # cut to the shortest, evenly
        ((300, 290, 280), 280, 3),
        ((300, 100), 300, 1),  # three quarters of the samples are in the longest
        ((200, 100), 100, 3),
        ((97,), 96, 1),
    ],
)
def test_segments_of_unequal_replicas_hold_three_quarters_of_the_samples(lengths, segment, segments):
    records = [replica(samples, seed) for seed, samples in enumerate(lengths)]
    found = representation_spectrum(merge_records(records) if len(records) > 1 else records[0], "oxidation")
    assert (found.segment, found.dof) == (segment, 3 * segments)


def test_without_series_segments_are_used_that_most_replicas_have():
    """One replica has a segment of 128 samples, the others of 64 at most, which hold three quarters of the samples."""
    records = [replica(samples, seed) for seed, samples in enumerate((130, 100, 100, 100))]
    found = dataclasses.replace(merge_records(records), series=None)
    assert max(part.length for part in found.periodograms) == 128
    assert representation_spectrum(found, "oxidation").segment == 64
    assert representation_spectrum(found, "oxidation").dof == 3 * 5


def test_error_bars_use_the_replicas():
    """Sixteen replicas: a quarter of the error of one."""
    one, all_of_them = replica(512, 0), merge_records([replica(512, seed) for seed in range(16)])
    for method in ("cepstral", "einstein"):
        errors = [
            next(
                r.error for r in estimate(record, CONFIG).results if (r.quantity, r.method) == ("conductivity", method)
            )
            for record in (one, all_of_them)
        ]
        assert errors[1] == pytest.approx(errors[0] / 4, rel=0.6)


def test_a_part_that_some_runs_lack_is_left_out_and_said():
    one, two, three = (replica(200, seed) for seed in range(3))
    without = dataclasses.replace(two, series=None, correlations=None)
    found = merge_records([one, without, three])
    assert found.series is None
    assert found.correlations is None
    assert any("no series" in note for note in found.notes)
    assert any("no correlations" in note for note in found.notes)
    assert inconsistency(found) is None
    close(found, merge_records([merge_records([three, without]), one]))


def test_two_pieces_may_have_batches_that_differ_by_powers_of_two():
    long, short = replica(5000, 1), replica(100, 2)
    assert long.msd.batch == 4 * short.msd.batch
    found = merge_records([short, long])
    assert found.msd.batch == long.msd.batch
    assert sum(part.msd_batches for part in found.replicas) == len(found.msd.counts[0])


# ---- what does not belong together ----------------------------------------------------------------------------------


def other(**changes: Any) -> Record:
    return dataclasses.replace(replica(200, 9), **changes)


def inner(part: str, **changes: Any) -> Record:
    return other(**{part: dataclasses.replace(getattr(replica(200, 9), part), **changes)})


MISFITS: dict[str, Callable[[], Record]] = {
    "units": lambda: other(units="real"),
    "interval": lambda: other(interval=0.004),
    "every": lambda: other(every=4),
    "timestep": lambda: other(timestep=0.002),
    "species": lambda: other(species=("A", "C")),
    "population": lambda: other(population=np.array([2, 3])),
    "oxidation": lambda: other(oxidation={"A": 1.0, "B": -2.0}),
    "representations": lambda: other(representations=("atomic",)),
    "frame": lambda: other(frame="laboratory"),
    "host": lambda: other(host=("A",)),
    "flux_names": lambda: other(flux_names=("number/A", "number/B")),
    "volume": lambda: other(volume=50.0 * (1 + 1e-8)),
    "degrees_of_freedom": lambda: other(degrees_of_freedom=12.0),
    "velocities": lambda: other(temperature=float("nan")),
    "msd.frames": lambda: inner("msd", frames=("laboratory",)),
    "msd.stride": lambda: inner("msd", stride=16),
    "msd.levels": lambda: inner("msd", sums=replica(200, 9).msd.sums[:1], counts=replica(200, 9).msd.counts[:1]),
    "msd.lags": lambda: inner("msd", counts=tuple(part[:, :8] for part in replica(200, 9).msd.counts)),
    "msd batch": lambda: inner("msd", batch=96),
    "correlations.pairs": lambda: inner("correlations", pairs=("vv", "vf")),
    "correlations.mass": lambda: inner("correlations", mass=np.array([1.0, 2.0])),
    "correlations.force": lambda: inner("correlations", force="total"),
    "correlations.every": lambda: inner("correlations", every=2),
}


@pytest.mark.parametrize("key", MISFITS)
def test_what_does_not_belong_together_is_refused_by_name(key):
    with pytest.raises(FileError, match=rf"^'two' does not belong to 'one': '{key}' is .*, not .*$"):
        merge_records([replica(200, 1), MISFITS[key]()], ["one", "two"])


def test_both_values_are_said():
    with pytest.raises(FileError, match=r"'volume' is 50\.0000005, not 50$"):
        merge_records([replica(200, 1), MISFITS["volume"]()])


def test_rounding_is_no_difference():
    assert merge_records([replica(200, 1), other(volume=50.0 * (1 + 1e-12))]).volume == 50.0


def test_the_same_run_is_refused():
    one, two = replica(200, 1), replica(200, 2)
    with pytest.raises(FileError, match="'b' holds the same run as 'a'"):
        merge_records([one, one], ["a", "b"])
    with pytest.raises(FileError, match="holds the same run"):
        merge_records([merge_records([one, two]), two])
    with pytest.raises(FileError, match="two runs or more"):
        merge_records([one])


def test_a_later_checkpoint_of_the_same_run_is_refused():
    piece = ions(300, seed=1)
    early, late = measure(piece.head(120)).record(), measure(piece).record()
    for records in ([early, late], [late, early], [replica(100, 3), late, early]):
        with pytest.raises(FileError, match="repeats samples of"):
            merge_records(records)


# ---- files and the command ------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path) -> list[str]:
    paths = [tmp_path / f"replica{seed}" / "run.topo.h5" for seed in range(3)]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        measure(ions(256, seed), path=path)
    return [str(path) for path in paths]


def topo(*arguments: str, status: int = 0) -> str:
    run = CliRunner().invoke(main, list(arguments))
    assert run.exit_code == status, run.output
    return run.output


def test_merged_files_are_results_files(files, tmp_path):
    target = str(tmp_path / "all.topo.h5")
    assert "768 samples" in topo("merge", *files, "-o", target)
    merged = read_results(target)
    sources = merged.provenance["sources"]
    assert [source["file"] for source in sources] == files
    assert [source["sha256"] for source in sources] == [read_results(file).sha256 for file in files]
    assert {source["steps"] for source in sources} == {"0 to 510"}
    close(merged.record, merge_records([read_results(file).record for file in files]))
    shown = json.loads(topo("show", target, "--json"))
    assert {"cepstral", "einstein", "green-kubo"} <= {entry["method"] for entry in shown}
    assert all(file in topo("show", target, "--provenance") for file in files)
    topo("estimate", target, "--set", "temperature", "500")
    assert "500" in topo("show", target)
    assert "3 runs" in topo("check", target)
    topo("report", target)
    assert (tmp_path / "all.report.html").exists()


def test_merged_files_merge_again(files, tmp_path):
    first, second, whole = (str(tmp_path / f"{name}.topo.h5") for name in ("first", "second", "whole"))
    topo("merge", *files[:2], "-o", first)
    topo("merge", files[2], first, "-o", second)
    topo("merge", *files, "-o", whole)
    close(read_results(whole).record, read_results(second).record)
    sources = [read_results(path).provenance["sources"] for path in (second, whole)]
    assert sorted(map(str, sources[0])) == sorted(map(str, sources[1]))
    assert "holds the same run" in topo("merge", whole, files[0], "-o", first, status=1)


def test_an_input_is_not_overwritten_and_an_earlier_result_is_kept(files, tmp_path):
    assert "name of its own" in topo("merge", *files, "-o", files[0], status=1)
    target = str(tmp_path / "all.topo.h5")
    topo("merge", *files, "-o", target)
    topo("merge", *files[:2], "-o", target)
    assert read_results(tmp_path / "all.1.topo.h5").record.samples == 768
    assert read_results(target).record.samples == 512
    before = Path(target).read_bytes()
    assert "same run" in topo("merge", files[0], files[0], "-o", target, status=1)
    assert Path(target).read_bytes() == before


def test_settings_of_estimates_must_agree_or_be_given(files, tmp_path):
    target = str(tmp_path / "all.topo.h5")
    topo("estimate", files[1], "--set", "temperature", "700")
    said = topo("merge", *files, "-o", target, status=1)
    assert "'temperature' is 700, not none" in said
    assert "--set temperature" in said
    topo("merge", *files, "-o", target, "--set", "temperature", "600")
    assert read_results(target).config.temperature == 600


def test_tolerances_of_comparisons_are_settings_of_estimates(files):
    topo("estimate", files[0], "--set", "gauge.tolerance", "0.1")
    assert read_results(files[0]).config.gauge.tolerance == 0.1


def test_constant_tensors_must_agree(tmp_path):
    paths = []
    for seed, charge in enumerate((2, 2, 3)):
        paths.append(str(tmp_path / f"run{seed}.topo.h5"))
        fixed = {"fixed": {"born": {"A": charge, "B": -charge}}, "atomic": None}
        measure(ions(256, seed), path=Path(paths[-1]), representations=fixed)
    target = str(tmp_path / "all.topo.h5")
    topo("merge", *paths[:2], "-o", target)
    said = topo("merge", *paths[1:], "-o", target, status=1)
    assert f"'{paths[2]}' does not belong to '{paths[1]}': 'representations.fixed.born' is A" in said


def test_a_full_disk_leaves_what_was_there(files, tmp_path):
    (tmp_path / "all.topo.h5").mkdir()
    assert "all.topo.h5" in topo("merge", *files, "-o", str(tmp_path / "all.topo.h5"), status=2)
