"""Replicas that LAMMPS ran, in turn and as partitions of one run, as one results file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lammps_topo.merge import merge_records
from lammps_topo.store import read_results


def script(agi, seed: str, name: str) -> str:
    return (
        f"{agi.system}read_data {agi.folder}/agi.data\npair_style lj/cut 6.0\npair_coeff * * 0.01 2.5\n"
        f"velocity all create 700.0 {seed} loop geom\nfix nve all nve\n"
        f"fix topo all topo 2 agi.yaml output {name}.topo.h5\nrun 200\n"
    )


def test_replicas_with_other_seeds_are_merged(lmp, topo_command, agi, config, tmp_path):
    for seed in (11, 12, 13):
        lmp(script(agi, str(seed), f"replica{seed}"), tmp_path)
    names = [f"replica{seed}.topo.h5" for seed in (11, 12, 13)]
    topo_command("merge", *names, "-o", "all.topo.h5", folder=tmp_path)
    merged = read_results(tmp_path / "all.topo.h5")
    parts = [read_results(tmp_path / name).record for name in names]
    assert merged.record.samples == sum(part.samples for part in parts) == 303
    assert merged.record.temperature == pytest.approx(np.mean([part.temperature for part in parts]))
    total = sum(part.msd.sums[0].sum(axis=0) for part in parts)
    np.testing.assert_allclose(merged.record.msd.sums[0].sum(axis=0), total, rtol=1e-12)
    cepstral = next(result for result in merged.outcome.results if result.method == "cepstral")
    assert cepstral.details["degrees_of_freedom"] == 9
    assert cepstral.details["segment"] == 100
    checked = topo_command("check", *names, "all.topo.h5", folder=tmp_path).stdout.splitlines()
    assert [line[:3] for line in checked] == ["ok:"] * 4
    topo_command("estimate", "all.topo.h5", "--set", "temperature", "700", folder=tmp_path)
    topo_command("report", "all.topo.h5", folder=tmp_path)
    assert (tmp_path / "all.report.html").exists()


def test_the_same_seed_twice_is_refused(lmp, topo_command, agi, config, tmp_path):
    for name in ("one", "two"):
        lmp(script(agi, "11", name), tmp_path)
    said = topo_command("merge", "one.topo.h5", "two.topo.h5", "-o", "all.topo.h5", folder=tmp_path, check=False)
    assert said.returncode == 1
    assert "same run" in said.stderr
    assert not (tmp_path / "all.topo.h5").exists()


def test_another_interval_is_refused(lmp, topo_command, agi, config, tmp_path):
    lmp(script(agi, "11", "one"), tmp_path)
    lmp(script(agi, "12", "two").replace("topo 2", "topo 4"), tmp_path)
    said = topo_command("merge", "one.topo.h5", "two.topo.h5", "-o", "all.topo.h5", folder=tmp_path, check=False)
    assert said.returncode == 1
    assert "'interval' is 0.004, not 0.002" in said.stderr


def test_partitions_are_merged(lmp, topo_command, agi, config, tmp_path):
    """``lmp -p 2x1``: a file each."""
    (tmp_path / "in.both").write_text("variable seed world 21 22\n" + script(agi, "${seed}", "part${seed}"))
    programs = Path(sys.executable).parent
    finished = subprocess.run(
        [programs / "mpirun", "-np", "2", programs / "lmp", "-p", "2x1", "-in", "in.both"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    topo_command("merge", "part21.topo.h5", "part22.topo.h5", "-o", "all.topo.h5", folder=tmp_path)
    merged = read_results(tmp_path / "all.topo.h5").record
    assert [replica.samples for replica in merged.replicas] == [101, 101]
    again = merge_records([read_results(tmp_path / f"part{seed}.topo.h5").record for seed in (22, 21)])
    np.testing.assert_array_equal(merged.series.flux, again.series.flux)
