"""Constant charges of currents that fluctuate, from processes whose charges are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from charged_records import INTERVAL, record_of, relaxation, walk
from scipy import stats

from lammps_topo.config import Config
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.charge_outcome import charge_outcome
from lammps_topo.estimate.integer_charges import neutral_charges, regression
from lammps_topo.estimate.result import Outcome
from lammps_topo.estimate.state import state_of
from lammps_topo.record import Record
from lammps_topo.units import unit_style

Array = np.ndarray
RARE = 1e-4
CURRENT, SLOW = 0.1, 0.3
MASSES = {"Mg": 24.0, "O": 16.0, "Ar": 40.0}
NUMBERS = np.array([10, 20, 5])
CHARGES = np.array([2.0, -1.0, 0.0])


def displaced(samples: int, frame: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sums of the displacements of three species (T, 3, 3), and how they follow from the independent ones."""
    mixing = np.array([[1.0, 0.0, 0.0], [0.4, 1.0, 0.0], [-0.3, 0.2, 1.0]]) * np.sqrt(NUMBERS)
    if frame == "laboratory":
        return np.einsum("rs,tsc->trc", mixing, walk(samples, CURRENT, rng=rng, columns=3)), np.eye(3)
    masses = np.array(list(MASSES.values()))
    expression = np.array([[1.0, 0.0], [0.0, 1.0], -masses[:2] / masses[2]])
    if frame == "host":  # that of the last species
        expression[2] = 0.0
    free = np.einsum("rs,tsc->trc", mixing[:2, :2], walk(samples, CURRENT, rng=rng, columns=2))
    return np.einsum("sr,trc->tsc", expression, free), expression


@pytest.mark.parametrize("frame", ["barycentric", "host", "laboratory"])
def test_charges_are_found_within_their_errors(frame):
    samples, number, rng = 12_000, 60, np.random.default_rng(1)
    charges = CHARGES.copy()
    charges[2] = -charges[:2] @ NUMBERS[:2] / NUMBERS[2]
    reduced, errors, alarms = [], [], 0
    for _ in range(number):
        moved, expression = displaced(samples, frame, rng)
        dipole = np.einsum("s,tsc->tc", charges, moved) + 0.5 * relaxation(samples, SLOW, rng=rng)[:, 0]
        found = regression([dipole], [moved[:, : expression.shape[1]]], INTERVAL)
        value, covariance = neutral_charges(found.slope, found.covariance, expression, NUMBERS, 0.0)
        assert value @ NUMBERS == pytest.approx(0.0, abs=1e-9)
        error = np.sqrt(np.diag(covariance))
        reduced.append((value - charges) / error)
        errors.append(error)
        alarms += found.rest.chance < 0.05
    inside = np.abs(reduced)
    assert (np.mean(inside < 1, axis=0) >= stats.binom.ppf(RARE, number, 0.65) / number).all()
    assert (np.mean(inside < 2, axis=0) >= stats.binom.ppf(RARE, number, 0.92) / number).all()
    assert alarms <= stats.binom.isf(RARE, number, 0.05)
    assert np.max(errors) < 0.05


def test_the_frame_leaves_one_combination_to_neutrality():
    # what the regression cannot know is a multiple of the masses; any net charge can be asked for
    _, expression = displaced(100, "barycentric", np.random.default_rng(2))
    masses = np.array(list(MASSES.values()))
    slope = expression.T @ CHARGES
    for net in (0.0, 3.0):
        value, covariance = neutral_charges(slope, np.zeros((2, 2)), expression, NUMBERS, net)
        assert value @ NUMBERS == pytest.approx(net)
        away = (value - CHARGES) / masses
        assert away == pytest.approx(np.full(3, away[0]))
        assert not covariance.any()
    with pytest.raises(EstimateError, match="only 1 of the 3 species move independently; 2 are needed"):
        neutral_charges(np.ones(1), np.eye(1), expression[:, :1], NUMBERS, 0.0)


# ---- records --------------------------------------------------------------------------------------------------------


def melt(samples: int, *, seed: int = 3, bounded: float = 0.5, pair: float = 0.0, size: float = 1.0) -> Record:
    """KCl whose atomic charges fluctuate, and with ``pair`` a charge that diffuses beside the ions."""
    rng = np.random.default_rng(seed)
    potassium = 4 * walk(samples, CURRENT, rng=rng)[:, 0]
    chlorine = -39.1 / 35.5 * potassium
    own = size * potassium + bounded * relaxation(samples, SLOW, rng=rng)[:, 0]
    if pair:
        own = own + pair * walk(samples, CURRENT, rng=rng)[:, 0]
    moments = {"number/K": potassium, "number/Cl": chlorine, "atomic/K": own, "atomic/Cl": -size * chlorine}
    oxidation = {"K": 1.0, "Cl": -1.0}
    charges = {"oxidation": (1.0, -1.0), "atomic": (size, -size)}
    return record_of(moments, charges=charges, population=(32, 32), oxidation=oxidation)


def outcome_of(record: Record) -> Outcome:
    config = Config()
    return charge_outcome(record, config, state_of(record, config), unit_style(record.units))


def charge_of(outcome: Outcome, species: str):
    (result,) = (one for one in outcome.results if one.quantity == "constant_charge" and one.of == f"atomic, {species}")
    return result


def test_oxidation_numbers_are_named():
    outcome = outcome_of(melt(20_000))
    for species, number in (("K", 1), ("Cl", -1)):
        result = charge_of(outcome, species)
        assert result.value == pytest.approx(number, abs=3.3 * result.error)
        assert result.error < 0.01
        assert result.details["verdict"] == ("+1" if number > 0 else "−1")
        assert result.details["oxidation_agrees"]
        assert result.details["rest"] == "is not seen to diffuse"


def test_no_integer_is_named_without_need():
    result = charge_of(outcome_of(melt(20_000, size=0.8)), "K")
    assert result.value == pytest.approx(0.8, abs=3.3 * result.error)
    assert result.details["verdict"] == "no integer"
    assert not result.details["oxidation_agrees"]
    fixed = charge_of(outcome_of(melt(20_000, size=0.8, bounded=0.0)), "K")
    assert (fixed.value, fixed.error) == (pytest.approx(0.8), 0.0)
    assert fixed.details["rest"] == "is nothing"
    vague = charge_of(outcome_of(melt(500, bounded=20.0)), "K")
    assert vague.error > 0.2
    assert vague.details["verdict"] == "cannot tell"


def test_charge_that_moves_without_ions_is_noticed():
    outcome = outcome_of(melt(20_000, pair=2.0))
    result = charge_of(outcome, "K")
    assert result.value == pytest.approx(1.0, abs=3.3 * result.error)
    assert (result.method, result.details["rest"]) == ("onsager", "diffuses")
    assert any("charge moves without ions" in note for note in outcome.notes)


def test_charges_with_a_carrier_as_a_species():
    # the lone pair is a species of its own: three constants, and nothing is left
    rng, samples = np.random.default_rng(4), 20_000
    potassium, pair = walk(samples, CURRENT, rng=rng, columns=2).transpose(1, 0, 2)
    chlorine = -(39.1 * potassium + 5e-4 * pair) / 35.5
    own = potassium - chlorine - 2 * pair + 0.2 * relaxation(samples, SLOW, rng=rng)[:, 0]
    moments = {"number/K": potassium, "number/Cl": chlorine, "number/lp": pair}
    moments |= {"born/K": own, "born/Cl": 0 * own, "born/lp": 0 * own}
    charges = {"oxidation": (1.0, -1.0, -2.0), "born": (1.0, -1.0, -2.0)}
    record = record_of(moments, charges=charges, population=(33, 31, 1))
    found = [one for one in outcome_of(record).results if one.quantity == "constant_charge"]
    assert [one.details["verdict"] for one in found] == ["+1", "−1", "−2"]


def test_what_tells_no_charge_is_said():
    # one species; species that do not diffuse against one another; a run without a series
    rng = np.random.default_rng(5)
    one = walk(4000, CURRENT, rng=rng)[:, 0]
    alone = record_of({"number/K": one, "atomic/K": 0.9 * one}, charges={"atomic": (0.9,)}, population=(9,))
    assert "constant charges for 'atomic': a single species has the charge of the system" in outcome_of(alone).notes[0]
    solid = relaxation(20_000, SLOW, rng=rng)[:, 0]
    moments = {"number/K": solid, "number/Cl": -solid, "atomic/K": solid, "atomic/Cl": 0 * solid}
    bound = record_of(moments, charges={"atomic": (1.0, -1.0)}, population=(32, 32))
    assert any("not seen to diffuse against one another" in note for note in outcome_of(bound).notes)
    without = outcome_of(replace(melt(4000), series=None))
    assert "constant charges for 'atomic': the flux series is not kept (key 'series')" in without.notes
    assert not math.isnan(sum(one.value for one in outcome_of(melt(4000)).results))
