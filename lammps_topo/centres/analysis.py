"""What a set of snapshots with electronic centres says: dipoles, distances, orientation, polarisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..estimate.result import Curve, Outcome, Result
from .coordination import JointDistribution, joint_distribution
from .distribution import Distribution, distribution, standard_error
from .rotor import four_bonds, rotor, tetrahedrality
from .snapshot import DEBYE, Array, CentreSnapshot, ion_dipoles, nominal_charges

_BINS = 40


@dataclass(frozen=True)
class CentreAnalysis:
    """Numbers and curves, and the joint distribution of each pair (cation, anion)."""

    outcome: Outcome
    joint: dict[tuple[str, str], JointDistribution]


def analyse_centres(
    snapshots: Sequence[CentreSnapshot], valence: Mapping[str, float], *, weight: float = -2.0
) -> CentreAnalysis:
    """Ion dipoles (Debye), distances of centres (Å), rotor functions, and the electronic dipole of the cell.

    Parameters
    ----------
    valence : charge of each ion without its centres, e
    weight : charge of a centre, e

    Errors are standard errors over snapshots, which are taken as independent.

    Raises
    ------
    ConfigError, EstimateError
        A valence is missing; there is nothing to average.
    """
    names = list(dict.fromkeys(name for one in snapshots for name in one.species))
    charges = [nominal_charges(one, valence, weight) for one in snapshots]
    dipoles = [DEBYE * ion_dipoles(one, weight) for one in snapshots]
    results: list[Result] = []
    curves: list[Curve] = []
    notes = _mixture(snapshots)
    usual: dict[str, float] = {}
    for name in names:
        rows = [one.rows(name) for one in snapshots]
        own = np.concatenate([charge[row] for charge, row in zip(charges, rows, strict=True)])
        usual[name] = float(np.median(own))
        if (odd := int((own != usual[name]).sum())) > 0:
            notes.append(f"{odd} of {len(own)} {name} do not have the usual charge of {usual[name]:+g} e")
        sizes = [np.linalg.norm(mu[row], axis=1) for mu, row in zip(dipoles, rows, strict=True)]
        spread = distribution(sizes, _edges(0.0, sizes))
        results += _pair("ion_dipole", name, spread, "D")
        curves.append(_curve("dipole", name, spread, "|μ| (D)", "p (1/D)"))
        lengths = [
            np.linalg.norm(one.bonds()[np.isin(one.ion, row)], axis=1)
            for one, row in zip(snapshots, rows, strict=True)
        ]  # fmt: skip
        if any(map(len, lengths)):
            apart = distribution(lengths, _edges(0.0, lengths))
            results += _pair("centre_distance", name, apart, "Å")
            curves.append(_curve("distance", name, apart, "centre to ion (Å)", "p (1/Å)"))
        four = [four_bonds(one, name) for one in snapshots]
        if any(map(len, four)):
            whole = distribution([tetrahedrality(bonds) for bonds in four], np.linspace(0.0, 1.0, _BINS + 1))
            results += _pair("tetrahedrality", name, whole, "1")
            along = [np.concatenate([rotor(bonds, axis) for axis in range(3)]) for bonds in four]
            turned = distribution(along, np.linspace(-0.75, 0.75, _BINS + 1))
            results.append(_result("rotor_width", name, turned.width, turned.width_error, "1", turned))
            curves.append(_curve("rotor", name, turned, "M₂", "p"))
    results += _cell_dipole(dipoles)
    pairs = [(c, a) for c in names for a in names if usual[c] > 0 > usual[a]]
    return CentreAnalysis(
        Outcome(tuple(results), tuple(curves), tuple(notes)),
        {pair: joint_distribution(snapshots, *pair) for pair in pairs},
    )


def _cell_dipole(dipoles: Sequence[Array]) -> list[Result]:
    """Rms component of Σμ, and ⟨|Σμ|²⟩/⟨Σ|μ|²⟩, which is 1 where the dipoles of ions do not know of each other.

    Without any dipoles that ratio is left out.
    """
    squared = np.array([(mu.sum(axis=0) ** 2).sum() for mu in dipoles])
    apart = np.array([(mu**2).sum() for mu in dipoles])
    method = _snapshots(len(dipoles))
    rms = float(np.sqrt(squared.mean() / 3.0))
    error = float(standard_error(squared)) / (6.0 * rms) if rms > 0 else 0.0
    whole = Result("cell_dipole", "electrons", method, rms, error, "D")
    if not apart.any():
        return [whole]
    ratio = float(squared.mean() / apart.mean())
    return [
        whole,
        Result("dipole_correlation", "all ions", method, ratio,
               float(standard_error(squared - ratio * apart)) / float(apart.mean()), "1"),
    ]  # fmt: skip


def _mixture(snapshots: Sequence[CentreSnapshot]) -> list[str]:
    kinds = sorted({str(one.info["kind"]) for one in snapshots if "kind" in one.info})
    if len(kinds) < 2:
        return []
    return [f"snapshots of {len(kinds)} kinds are mixed ({', '.join(kinds)}): --where kind=… takes one"]


def _edges(low: float, values: Sequence[Array]) -> Array:
    high = max(float(row.max()) for row in values if len(row))
    return np.linspace(low, 1.02 * high if high > low else low + 1.0, _BINS + 1)


def _pair(quantity: str, name: str, of: Distribution, unit: str) -> list[Result]:
    return [
        _result(quantity, name, of.mean, of.mean_error, unit, of),
        _result(f"{quantity}_width", name, of.width, of.width_error, unit, of),
    ]


def _result(quantity: str, name: str, value: float, error: float, unit: str, of: Distribution) -> Result:
    method = f"{of.ions} in {_snapshots(of.snapshots)}"
    return Result(quantity, name, method, value, error, unit, {"values": of.ions, "snapshots": of.snapshots})


def _snapshots(number: int) -> str:
    return "1 snapshot" if number == 1 else f"{number} snapshots"


def _curve(figure: str, name: str, of: Distribution, x_label: str, y_label: str) -> Curve:
    middle = 0.5 * (of.edges[1:] + of.edges[:-1])
    return Curve(f"{figure}/{name}", figure, name, middle, of.density, x_label, y_label, of.error, "band")
