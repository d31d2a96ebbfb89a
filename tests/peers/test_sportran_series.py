"""SporTran's numbers on its molten NaCl series, through the command line (references: ``test_sportran.py``)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lammps_topo.cli import main

SERIES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "NaCl.dat"

pytestmark = pytest.mark.skipif(not SERIES.exists(), reason="the NaCl series is not here")

KAPPA, ERROR = 0.49830975139544453, 0.028018311619340822
ALONE = (0.6444520536323395, 0.035545542718159163, 6)


def kappa(file: Path, *arguments: str) -> dict:
    words = ["spectrum", str(file), "-q", "heat", "--units", "metal", "--interval", "0.005", "-V", "65013.301261"]
    finished = CliRunner().invoke(main, [*words, "--method", "cepstral-aic", "--resample", "7", "--json", *arguments])
    assert finished.exit_code == 0, finished.output
    assert finished.stderr == ""  # nothing to heed
    return json.loads(finished.stdout)[-1]


def assert_equal(found: dict, value: float, error: float, order: int) -> None:
    """SporTran's own constants differ from the exact ones by 1.2e-6 of kappa."""
    assert found["value"] == pytest.approx(value, rel=3e-6)
    assert found["error"] == pytest.approx(error, rel=3e-6)
    assert (found["order"], found["unit"]) == (order, "W/m/K")
    assert found["cutoff"] == pytest.approx(14.2857, abs=1e-4)


@pytest.mark.parametrize(
    "columns",
    [("-k", "flux", "-j", "vcm[1]"), ("-k", "c_flux,c_vcm[1]"), ("--columns", "2-4,5-7"), ("-k", "2-4", "-j", "5,6,7")],
)
def test_the_mass_flux_is_eliminated(columns):
    found = kappa(SERIES, *columns)
    assert_equal(found, KAPPA, ERROR, 4)
    assert f"{found['value']:.4f} {found['error']:.4f}" == "0.4983 0.0280"


def test_energy_flux_alone():
    assert_equal(kappa(SERIES, "-k", "flux"), *ALONE)


def test_conductivity_from_the_velocity_of_the_sodium_ions():
    """383(19) S/m by SporTran (facts of the data file): the total momentum being zero, J = e N v_Na (1 + m_Na/m_Cl)."""
    factor = 864 * (1 + 22.98977 / 35.453)
    words = ["spectrum", str(SERIES), "-q", "conductivity", "-k", "vcm[1]", "--scale", repr(factor), "--units", "metal"]
    words += ["--interval", "0.005", "-V", "65013.301261", "--method", "cepstral-aic", "--resample", "7", "--json"]
    found = json.loads(CliRunner().invoke(main, words).stdout)[-1]
    assert found["value"] == pytest.approx(383, abs=1)
    assert found["error"] == pytest.approx(19, abs=1)


def test_other_kinds_of_files_of_the_same_series(tmp_path):
    columns = np.loadtxt(SERIES, skiprows=7)
    np.save(tmp_path / "a.npy", columns)
    np.savez(tmp_path / "a.npz", Temp=columns[:, 0], flux=columns[:, 1:4], vcm=columns[:, 4:])
    (tmp_path / "a.dat.gz").write_bytes(gzip.compress(SERIES.read_bytes()))
    temperature = ("-T", repr(float(columns[:, 0].mean())))
    assert_equal(kappa(tmp_path / "a.npy", "-k", "2-4,5-7", *temperature), KAPPA, ERROR, 4)
    assert_equal(kappa(tmp_path / "a.npz", "-k", "flux", "-j", "vcm"), KAPPA, ERROR, 4)
    assert_equal(kappa(tmp_path / "a.dat.gz", "-k", "flux", "-j", "vcm[1]"), KAPPA, ERROR, 4)
