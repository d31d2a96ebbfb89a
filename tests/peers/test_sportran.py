"""SporTran's numbers on its molten NaCl series (1728 ions, 1400 K), without SporTran.

The references were printed by SporTran 1.0.0rc4 (numpy 1.26) with repr(): HeatCurrent(traj, DT_FS=5.0,
UNITS='metal', TEMPERATURE=mean of the Temp column, VOLUME=65013.301261), resample(fstar_THz=14.0), which
averages and samples every 7 steps, then cepstral_analysis(): kappa, kappa_std, cutoffK = P* - 1.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from lammps_topo.estimate.cepstral import cepstral
from lammps_topo.estimate.current_spectrum import series_spectrum
from lammps_topo.estimate.onsager import onsager
from lammps_topo.estimate.spectrum import block_average, cross_periodogram

SERIES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "NaCl.dat"

pytestmark = pytest.mark.skipif(not SERIES.exists(), reason="the NaCl series is not here")

VOLUME = 65013.301261  # Å^3
ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact; eV to J
BOLTZMANN = 1.380649e-23  # J/K, exact
INTERVAL = 0.005  # ps


@pytest.fixture(scope="module")
def columns():
    """Temp, flux 1-3 (eV Å/ps), vcm 1-3 of the sodium ions (Å/ps), [20000, 7]."""
    return np.loadtxt(SERIES, skiprows=7)


def conductivity(found, temperature):
    """Thermal conductivity and error, W/m/K: S(0)/(2 V kB T²), S in (eV Å/ps)² ps."""
    square = (ELEMENTARY_CHARGE * 1e-10 / 1e-12) ** 2 * 1e-12  # to (W m)² s
    scale = square / (2 * VOLUME * 1e-30 * BOLTZMANN * temperature**2)
    return scale * found.zero_frequency, scale * found.error


# SporTran's own constants (kB 1.3806504e-23, e 1.6021765e-19) differ from the exact ones by 1.2e-6 of kappa.
@pytest.mark.parametrize(
    ("fluxes", "width", "kappa", "error", "order"),
    [
        (2, 7, 0.49830975139544453, 0.028018311619340822, 4),
        (1, 7, 0.6444520536323395, 0.035545542718159163, 6),
        (2, 1, 0.4815548563839669, 0.024151034008222515, 20),
        (1, 1, 0.586898628940499, 0.013298328897214915, 7),
    ],
    ids=["mass flux eliminated", "energy flux alone", "eliminated, not resampled", "alone, not resampled"],
)
def test_thermal_conductivity_is_that_of_sportran(columns, fluxes, width, kappa, error, order):
    flux = np.stack((columns[:, 1:4], columns[:, 4:7]), axis=1)[:, :fluxes]
    spectrum = cross_periodogram(block_average(flux, width), INTERVAL * width)
    found = cepstral(spectrum, cutoff=math.inf)
    assert found.cutoff == pytest.approx(100 / width)
    assert found.cutoff_origin == "nyquist"
    assert found.order == order
    value, deviation = conductivity(found, columns[:, 0].mean())
    assert value == pytest.approx(kappa, rel=1e-5)
    assert deviation == pytest.approx(error, rel=1e-5)


def test_reference_of_the_two_component_melt_as_printed(columns):
    flux = np.stack((columns[:, 1:4], columns[:, 4:7]), axis=1)
    found = cepstral(cross_periodogram(block_average(flux, 7), 7 * INTERVAL), cutoff=math.inf)
    value, deviation = conductivity(found, columns[:, 0].mean())
    assert f"{value:.5f} {deviation:.5f}" == "0.49831 0.02802"


def test_our_own_cutoff_agrees_within_the_error(columns):
    # truncation instead of averaging, automatic f*: the same data, so well within one error
    flux = np.stack((columns[:, 1:4], columns[:, 4:7]), axis=1)
    found = cepstral(cross_periodogram(flux, INTERVAL))
    value, deviation = conductivity(found, columns[:, 0].mean())
    assert found.cutoff_origin == "automatic"
    assert 5 < found.cutoff < 15
    assert value == pytest.approx(0.49831, abs=deviation)


@pytest.mark.parametrize("wanted", [0, 10, 40])
def test_matrix_of_mass_and_energy_flux(columns, wanted):
    # the mass flux first, so that it is eliminated exactly; few segments lose statistics
    flux = np.stack((columns[:, 4:7], columns[:, 1:4]), axis=1)
    joint = onsager(series_spectrum([flux], INTERVAL, wanted)).without(1)
    square = (ELEMENTARY_CHARGE * 1e-10 / 1e-12) ** 2 * 1e-12
    scale = square / (2 * VOLUME * 1e-30 * BOLTZMANN * columns[:, 0].mean() ** 2)
    value, error = scale * joint.matrix[0, 0], scale * joint.error()[0, 0]
    assert error < 0.05
    assert value == pytest.approx(0.49831, abs=math.hypot(error, 0.02802))
