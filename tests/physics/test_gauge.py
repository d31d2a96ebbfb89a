"""Comparisons of currents whose difference is known: bounded, diffusing, or nothing at all."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from charged_records import INTERVAL, TEMPERATURE, VOLUME, dipole_record, record_of, relaxation, walk
from scipy import stats

from lammps_topo import synthetic_displacements as processes
from lammps_topo.config import parse_config
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.charge_outcome import charge_outcome, verdict_lines
from lammps_topo.estimate.gauge import Comparison, compare, limit, regress, sine_amplitudes, sine_spectrum
from lammps_topo.estimate.result import Outcome, Result
from lammps_topo.estimate.state import state_of
from lammps_topo.record import Record
from lammps_topo.report.charges import answer, verdicts
from lammps_topo.units import unit_style

Array = np.ndarray
RARE = 1e-4
LEVEL, TOLERANCE = 0.95, 0.05
CURRENT, SLOW = 0.1, 0.5
"""Relaxation times of the currents and of what they differ by, ps."""
SIGMA = 0.5 * unit_style("metal").conductivity / (VOLUME * unit_style("metal").boltzmann * TEMPERATURE)
"""Of a current with S(0) = 1, S/m."""


def bounded(kind: str, samples: int, one: Array, rng: np.random.Generator) -> Array:
    """A bounded displacement (T, 3), 0.3 wide."""
    return processes.bounded(kind, samples, one, time=SLOW, interval=INTERVAL, rng=rng)


def found(one: Array, other: Array) -> Comparison:
    sines = sine_amplitudes([np.stack((one, other), axis=1)], INTERVAL)
    return compare(sines, size=1.0, level=LEVEL, tolerance=TOLERANCE)


def most(chance: float, number: int) -> int:
    return int(stats.binom.isf(RARE, number, chance))


# ---- calibration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", processes.BOUNDED)
def test_a_bounded_difference_is_equivalent_at_the_nominal_rate(kind):
    samples, number, rng = 16_000, 100, np.random.default_rng(1)
    all_found = []
    for _ in range(number):
        one = walk(samples, CURRENT, rng=rng)[:, 0]
        all_found.append(found(one, one + bounded(kind, samples, one, rng)))
    count = Counter(one.verdict for one in all_found)
    assert count["different"] <= most(1 - LEVEL, number)
    assert count["equivalent"] >= number - most(1 - LEVEL, number)
    # the exact difference is zero; its error holds what it says, and is not far too large
    reduced = np.array([one.difference / one.error for one in all_found])
    assert np.mean(np.abs(reduced) < 1) >= stats.binom.ppf(RARE, number, 0.65) / number
    assert np.mean(np.abs(reduced) < 2) >= stats.binom.ppf(RARE, number, 0.93) / number
    assert reduced.std() > 0.4
    assert abs(reduced.mean()) < 3.5 * reduced.std() / number**0.5
    assert all(0.99 < one.coherence <= 1 for one in all_found)


@pytest.mark.parametrize("kind", ["relaxation", "mixture"])
def test_short_runs_cannot_tell(kind):
    # thirty relaxation times of the bounded part
    samples, number, rng = 1500, 100, np.random.default_rng(2)
    verdicts_ = Counter[str]()
    for _ in range(number):
        one = walk(samples, CURRENT, rng=rng)[:, 0]
        verdicts_[found(one, one + bounded(kind, samples, one, rng)).verdict] += 1
    assert verdicts_["equivalent"] <= most(1 - LEVEL, number)
    assert verdicts_["different"] <= most(1 - LEVEL, number)


@pytest.mark.parametrize("kind", ["independent", "proportional"])
def test_a_diffusing_difference_is_different_once_the_data_suffice(kind):
    # a tenth of the current beside it; or one that is by five per cent too small; and a bounded part on top
    number, rng, rates = 60, np.random.default_rng(3), []
    for samples in (1000, 40_000):
        different = 0
        for _ in range(number):
            one = walk(samples, CURRENT, rng=rng)[:, 0]
            other = (
                0.95 * one if kind == "proportional" else one + math.sqrt(0.1) * walk(samples, CURRENT, rng=rng)[:, 0]
            )
            result = found(one, other + bounded("relaxation", samples, one, rng))
            different += result.verdict == "different"
            assert result.verdict != "equivalent" or kind == "proportional"
        rates.append(different / number)
    assert rates[0] < 0.8 * rates[1]
    assert rates[1] >= 0.9


def test_the_upper_limit_is_one():
    # S(0) of the difference is 0.01 exactly, a hundredth of the current, beside a bounded part
    samples, number, rng = 10_000, 100, np.random.default_rng(4)
    above = 0
    for _ in range(number):
        part = 0.1 * walk(samples, CURRENT, rng=rng)[:, 0] + 0.1 * relaxation(samples, SLOW, rng=rng)[:, 0]
        above += limit(sine_amplitudes([part[:, None]], INTERVAL), 0).upper(LEVEL) < 0.01
    assert above <= most(1 - LEVEL, number)


# ---- sines ----------------------------------------------------------------------------------------------------------


def test_sines_are_those_of_the_definition():
    rng = np.random.default_rng(5)
    moved = walk(301, CURRENT, rng=rng)
    sines = sine_amplitudes([moved], INTERVAL)
    times, duration = np.arange(1, 301) * INTERVAL, 301 * INTERVAL
    for place in (0, 3, 20):
        wave = math.sqrt(2 / duration) * np.sin(math.pi * (place + 1) * times / duration)
        assert sines.amplitude[place] == pytest.approx(np.tensordot(wave, np.diff(moved, axis=0), axes=1))
        assert sines.frequency[place] == pytest.approx((place + 1) / (2 * duration))


def test_the_ends_of_the_run_add_nothing():
    # a slow bounded displacement: its periodogram leaks |P(T) - P(0)|²/T into every ordinate, sines fall like f²
    samples, rng = 100_000, np.random.default_rng(6)
    moved = relaxation(samples, 0.05, rng=rng)
    power = (sine_amplitudes([moved], INTERVAL).amplitude ** 2).mean(axis=(1, 2))
    exact = (2 * math.pi * np.arange(1, 49) / (2 * samples * INTERVAL)) ** 2 * 2 * 0.05
    assert 0.8 < np.mean(power / exact) < 1.25
    leak = ((moved[-1] - moved[0]) ** 2).mean() / (samples * INTERVAL)
    assert power[:10].max() < 0.1 * leak


def test_stretches_are_pooled():
    rng = np.random.default_rng(7)
    parts = [np.concatenate((one, one), axis=1) for one in (walk(4000, CURRENT, rng=rng) for _ in range(3))]
    parts.append(parts[0][:500])  # too short to count
    sines = sine_amplitudes(parts, INTERVAL)
    alone = sine_amplitudes(parts[1:2], INTERVAL)
    assert len(sines.frequency) == 3 * len(alone.frequency)
    assert sines.amplitude[48:96] == pytest.approx(alone.amplitude)
    slope, covariance, rest = regress(sines, sines.amplitude[:, 0], sines.amplitude[:, 1:])
    assert (slope[0], covariance[0, 0]) == (pytest.approx(1.0), 0.0)
    assert not rest.any()


def test_many_stretches_take_no_more_memory_and_still_have_an_upper_limit():
    rng = np.random.default_rng(14)
    parts = [walk(int(samples), 0.02, rng=rng) for samples in rng.integers(1000, 1400, 150)]
    sines = sine_amplitudes(parts, INTERVAL)
    tracemalloc.start()
    found = limit(sines, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert found.smooth.shape == sines.frequency.shape
    # the lowest ordinates tell: S(0) is 1, known to about sqrt(2/(3 · 7200))
    upper = found.upper(LEVEL)
    assert 0.003 < upper / found.value - 1 < 0.1
    assert 0.9 < found.value < 1.05


def test_spectra_for_the_figure():
    rng = np.random.default_rng(8)
    moved = walk(50_001, CURRENT, rng=rng, columns=2)
    frequency, density, error = sine_spectrum([moved], np.array([[1.0, 0.0], [1.0, -2.0]]), INTERVAL)
    low = (frequency > 0.05) & (frequency < 0.3)
    assert density[0, low] == pytest.approx(1.0, abs=4 * error[0, low].max())
    assert np.mean(density[1, low]) == pytest.approx(5.0, abs=4 * np.mean(error[1, low]))


# ---- records --------------------------------------------------------------------------------------------------------


def salt(samples: int, one: Array | None = None, *, seed: int = 9, fluctuating: float = 0.3, **more: float) -> Record:
    """A binary salt in the barycentric frame, masses 1 and 2; charges that fluctuate, and constant ones, multiples."""
    rng = np.random.default_rng(seed)
    sodium = walk(samples, CURRENT, rng=rng)[:, 0] if one is None else one
    part = fluctuating * relaxation(samples, SLOW, rng=rng)[:, 0]
    moments = {"number/Na": sodium, "number/Cl": -sodium / 2}
    if fluctuating:
        moments |= {"atomic/Na": sodium + part, "atomic/Cl": sodium / 2}
    charges = {"oxidation": (1.0, -1.0), **({"atomic": (1.0, -1.0)} if fluctuating else {})}
    charges |= {name: (value, -value) for name, value in more.items()}
    return record_of(moments, charges=charges, population=(100, 100), oxidation={"Na": 1.0, "Cl": -1.0})


def outcome_of(record: Record, text: str = "{}") -> Outcome:
    config = parse_config(text)
    return charge_outcome(record, config, state_of(record, config), unit_style(record.units))


def get(outcome: Outcome, quantity: str, of: str, method: str | None = None) -> Result:
    (result,) = (
        one for one in outcome.results if (one.quantity, one.of) == (quantity, of) and method in (None, one.method)
    )
    return result


def verdict(outcome: Outcome, of: str) -> str:
    return str(get(outcome, "gauge", of).details["verdict"])


def test_fluctuating_and_integer_charges_conduct_alike():
    record = salt(60_000)
    record = replace(record, dipole=dipole_record(record))
    outcome = outcome_of(record)
    of = "oxidation - atomic"
    assert verdict(outcome, of) == "equivalent"
    assert get(outcome, "gauge", of).details["confidence"] == LEVEL
    difference = get(outcome, "conductivity_difference", of)
    total = SIGMA * 1.5**2
    assert abs(difference.value) < 3.3 * difference.error < 0.1 * total
    assert get(outcome, "coherence", of).value == pytest.approx(1.0, abs=1e-2)
    growth = get(outcome, "gauge_growth", of, "einstein")
    assert growth.details["growth"] == "bounded"
    assert growth.details["saturation"] == pytest.approx(2 * 3 * 0.3**2, rel=0.15)
    assert get(outcome, "gauge_growth", of, "sines").details["upper_limit"] < 0.01 * total
    names = {curve.name for curve in outcome.curves}
    assert {"gauge/oxidation", "gauge/atomic", "gauge/oxidation − atomic", f"gauge-growth/{of}"} <= names
    assert answer(outcome.results, record).startswith("Yes")
    coulombs = unit_style("si")
    in_si = replace(record, units="si", charges=record.charges / coulombs.elementary)
    assert answer(outcome.results, in_si).startswith("Yes")
    assert verdicts(outcome.results, record)[0].value.startswith("Equivalent: the conductivities differ by")
    assert verdict_lines(outcome)[0].startswith("charges oxidation - atomic: equivalent, conductivities differ by")


def test_charges_of_a_force_field_are_too_small():
    record = salt(60_000, fluctuating=0.0, scaled=0.6)
    record = replace(record, dipole=dipole_record(record))
    outcome = outcome_of(record)
    of = "oxidation - scaled"
    assert verdict(outcome, of) == "different"
    difference = get(outcome, "conductivity_difference", of)
    assert difference.value == pytest.approx((1 - 0.6**2) * SIGMA * 1.5**2, abs=3.3 * difference.error)
    assert get(outcome, "coherence", of).value == 1
    growth = get(outcome, "gauge_growth", of, "einstein")
    assert growth.details["growth"] == "linear"
    assert growth.value == pytest.approx(0.4**2 * SIGMA * 1.5**2, abs=3.3 * growth.error)
    assert any("differ by the factor 0.36: charges of a force field" in note for note in outcome.notes)
    assert "nothing else to compare with: the currents are" in answer(outcome.results, record)


def test_a_current_with_charge_of_its_own_is_another():
    # what no constant charge describes diffuses beside the ions
    rng = np.random.default_rng(13)
    sodium, own = walk(60_000, CURRENT, rng=rng, columns=2).transpose(1, 0, 2)
    moments = {"number/Na": sodium, "number/Cl": -sodium, "born/Na": 2 * sodium + own, "born/Cl": 0 * own}
    record = record_of(moments, charges={"nominal": (1, -1), "born": (1.0, -1.0)}, population=(100, 100))
    outcome = outcome_of(record)
    assert verdict(outcome, "nominal - born") == "different"
    difference = get(outcome, "conductivity_difference", "nominal - born")
    assert difference.value == pytest.approx(-SIGMA, abs=3.3 * difference.error)
    coherence = get(outcome, "coherence", "nominal - born")
    assert coherence.value == pytest.approx(4 / 5, abs=3.3 * coherence.error)
    assert answer(outcome.results, record).startswith("Not like every other representation: nominal and born conduct")
    assert verdicts(outcome.results, record)[0].value.startswith("Different: the difference of the currents diffuses")


def test_one_and_the_same_current():
    outcome = outcome_of(salt(4000, fluctuating=0.0, again=1.0))
    assert verdict(outcome, "oxidation - again") == "equivalent"
    assert get(outcome, "gauge", "oxidation - again").details["currents"] == "one and the same"
    assert get(outcome, "conductivity_difference", "oxidation - again").value == 0


def test_opposite_currents_conduct_equally_but_differ():
    outcome = outcome_of(salt(4000, fluctuating=0.0, opposite=-1.0))
    of = "oxidation - opposite"
    assert verdict(outcome, of) == "different"
    difference = get(outcome, "conductivity_difference", of)
    assert (difference.value, difference.error) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.0, abs=1e-9))


def test_molecules_that_stay_whole_conduct_nothing():
    # partial charges of a molecule move, its net charge does not: any partial charges will do
    rng = np.random.default_rng(10)
    tumbling = relaxation(60_000, SLOW, rng=rng)[:, 0]
    record = record_of(
        {"number/H": tumbling, "number/O": -tumbling / 16},
        charges={"partial": (0.4, -0.8), "other": (0.5, -1.0), "molecular": (0.0, 0.0)}, population=(200, 100),
    )  # fmt: skip
    outcome = outcome_of(record)
    for of in ("partial - other", "partial - molecular", "other - molecular"):
        assert verdict(outcome, of) == "equivalent"
        assert get(outcome, "gauge", of).details["currents"] == "neither conducts"
        assert get(outcome, "gauge_growth", of).details["upper_limit"] < 1e-3 * SIGMA
    assert "Equivalent: neither conducts" in verdicts(outcome.results, record)[0].value
    # three verdicts share the chance of a false alarm
    assert get(outcome, "gauge", "partial - other").details["confidence"] == pytest.approx(1 - 0.05 / 3)


def test_ions_among_molecules_conduct():
    rng = np.random.default_rng(11)
    ions = walk(30_000, CURRENT, rng=rng)[:, 0]
    tumbling = relaxation(30_000, SLOW, rng=rng)[:, 0]
    record = record_of(
        {"number/Na": ions, "number/H": tumbling, "number/O": -tumbling / 16 - ions},
        charges={"whole": (1.0, 0.0, 0.0), "partial": (1.0, 0.4, -0.8), "none": (0.0, 0.0, 0.0)},
        population=(2, 200, 100),
    )  # fmt: skip
    record = replace(record, charges=np.array([[1.0, 0.0, 0.0], [1.8, 0.4, 0.8], [0.0, 0.0, 0.0]]))
    outcome = outcome_of(record)
    assert verdict(outcome, "whole - partial") == "equivalent"
    assert verdict(outcome, "whole - none") == "different"
    assert get(outcome, "conductivity_difference", "whole - none").value == pytest.approx(SIGMA, rel=0.3)


def test_what_cannot_be_compared_is_said():
    outcome = outcome_of(replace(salt(4000), series=None))
    assert not [one for one in outcome.results if one.quantity == "gauge"]
    assert "comparison of representations: the flux series is not kept (key 'series')" in outcome.notes
    assert any("30 samples without a gap; 64 are needed" in note for note in outcome_of(salt(30)).notes)
    with pytest.raises(EstimateError, match="64 are needed"):
        sine_amplitudes([np.zeros((30, 1, 3))], INTERVAL)
    assert not outcome_of(salt(4000, fluctuating=0.0)).results


def test_a_wider_tolerance_is_met_earlier():
    record = salt(3000, seed=12)
    assert verdict(outcome_of(record, "gauge: {tolerance: 0.001}"), "oxidation - atomic") == "cannot tell yet"
    assert verdict(outcome_of(record, "gauge: {tolerance: 0.5}"), "oxidation - atomic") == "equivalent"
