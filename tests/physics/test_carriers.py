"""The conductivity of ions and of lone pairs among them: random walks whose every part is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from charged_records import CURRENT, TEMPERATURE, VOLUME, displacement_record, record_of, walk
from scipy import stats

from lammps_topo.config import parse_config
from lammps_topo.estimate.carrier_parts import carrier_conductivities
from lammps_topo.estimate.state import state_of
from lammps_topo.estimate.summary import estimate
from lammps_topo.record import Record
from lammps_topo.units import unit_style

RARE = 1e-4
CONFIG = """
species:
  K: {type: 1, oxidation: 1}
  Cl: {type: 2, oxidation: -1}
  lp: {type: 3, oxidation: -2, carrier: true}
"""
CHARGES = np.array([1.0, -1.0, -2.0])
NUMBERS = (33, 31, 1)
DRIFT = 0.5
"""Of the drift that ions and the lone pair share, in their own units."""


def melt(samples: int, rng: np.random.Generator) -> tuple[Record, np.ndarray]:
    """K33Cl31 and a lone pair in the laboratory frame, and the exact S_AB(0) of the number fluxes."""
    mixing = np.diag(np.sqrt([33 * 0.6, 31 * 0.5, 40.0]))
    drift = DRIFT * np.array([[1.0], [-1.0], [3.0]])
    mixing = np.concatenate((mixing, drift), axis=1)
    moved = np.einsum("rs,tsc->trc", mixing, walk(samples, CURRENT, rng=rng, columns=4))
    moments = {f"number/{name}": moved[:, place] for place, name in enumerate(("K", "Cl", "lp"))}
    oxidation = {"K": 1.0, "Cl": -1.0, "lp": -2.0}
    record = record_of(moments, charges={"oxidation": CHARGES}, population=NUMBERS, oxidation=oxidation)
    return replace(record, frame="laboratory"), mixing @ mixing.T


def test_the_parts_are_found_within_their_errors():
    samples, number, rng = 20_000, 30, np.random.default_rng(1)
    config, units = parse_config(CONFIG), unit_style("metal")
    half = 0.5 * units.conductivity / (VOLUME * units.boltzmann * TEMPERATURE)
    reduced = []
    for _ in range(number):
        record, matrix = melt(samples, rng)
        outcome = carrier_conductivities("oxidation", record, config, state_of(record, config), units)
        found = {one.of: one for one in outcome.results}
        charged = CHARGES[:, None] * matrix * CHARGES
        exact = {"ions-ions": charged[:2, :2].sum(), "ions-lp": 2 * charged[:2, 2].sum(), "lp-lp": charged[2, 2]}
        assert list(found) == [f"oxidation, {name}" for name in exact]
        reduced.append(
            [(found[f"oxidation, {name}"].value - half * value) / found[f"oxidation, {name}"].error
             for name, value in exact.items()]
        )  # fmt: skip
    inside = np.abs(reduced)
    assert (np.mean(inside < 1, axis=0) >= stats.binom.ppf(RARE, number, 0.65) / number).all()
    assert (np.mean(inside < 2, axis=0) >= stats.binom.ppf(RARE, number, 0.93) / number).all()


def test_the_parts_sum_up_and_mobility_has_the_charge_of_the_pair():
    record, _ = melt(30_000, np.random.default_rng(2))
    diffusion = {"K": 0.3, "Cl": 0.25, "lp": 20.0}
    record = replace(record, msd=displacement_record(diffusion, NUMBERS, np.random.default_rng(3)))
    outcome = estimate(record, parse_config(CONFIG))
    parts = [one.value for one in outcome.results if one.quantity == "carrier_conductivity"]
    pairs = {one.of: one.value for one in outcome.results if one.quantity == "partial_conductivity"}
    total = sum(pairs[f"oxidation, {name}, all"] for name in ("K", "Cl", "lp"))
    assert sum(parts) == pytest.approx(total, rel=0.05)
    units = unit_style("metal")
    thermal = units.boltzmann * TEMPERATURE
    for name, charge in zip(diffusion, CHARGES, strict=True):
        (found,) = (one for one in outcome.results if (one.quantity, one.of) == ("diffusion", name))
        (mobility,) = (one for one in outcome.results if (one.quantity, one.of) == ("mobility", name))
        assert found.value == pytest.approx(diffusion[name] * units.diffusion, abs=3.3 * found.error)
        assert mobility.details["charge"] == charge
        assert mobility.value == pytest.approx(found.value / units.diffusion * charge / thermal * units.mobility)
        assert mobility.error > 0
    # without the word nothing is split
    plain = parse_config(CONFIG.replace(", carrier: true", ""))
    assert not [one for one in estimate(record, plain).results if one.quantity == "carrier_conductivity"]
    assert math.isfinite(total)
