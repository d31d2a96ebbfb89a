"""The basis fluxes, and charge representations as linear combinations of them (physics.md §2).

First come, species by species, those of particles: ``number`` (Σ v); where atoms carry charges ``atomic`` (Σ q v); and
``NAME`` (Σ Z v) of every representation whose charges are not constants of the species. Behind them are the global
ones, which LAMMPS computes as a whole: ``energy``, ``stress`` and any other ``flux``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: Basis fluxes made of the pressure tensor: V (xy, xz, yz), and V (xx − p, yy − p, zz − p)/√2, where p is the mean of
#: the diagonal. In an isotropic fluid each of the 3 + 2 independent components has the same spectral density.
STRESS_NAMES = ("stress/shear", "stress/normal")
_GLOBAL_KINDS = ("energy", "stress", "flux")


@dataclass(frozen=True)
class GlobalFlux:
    """Numbers of LAMMPS that are basis fluxes, or from which those are made.

    Attributes
    ----------
    key : of the configuration
    names : basis fluxes: one, or those of :data:`STRESS_NAMES`
    sources : where its numbers come from, ``c_ID``, ``c_ID[i]``, ``f_ID``, ``f_ID[i]`` or ``v_NAME``: x y z, or for the
        stress xx yy zz xy xz yz
    """

    key: str
    names: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Representation:
    """How much charge moves with an atom, as a run knows it.

    Attributes
    ----------
    name : of the representation
    kind : ``constant`` (a number by species), ``tensor`` (a constant tensor by species), ``weight`` (a constant number
        by atom) or ``stream`` (numbers that come with each sample)
    constants : (S,) charges of the species; for ``tensor`` a third of the trace
    tensors : (S, 3, 3), for ``tensor``; rows are directions of the current
    weights : of a ``weight`` by type, the weight; None where molecules move as a whole
    molecular : charges that a molecule is the sum of, for a ``weight``: ``atomic``, ``oxidation``
    source : per-atom numbers of LAMMPS, for a ``stream``; empty for its ``q``
    columns : of them: 1, or 9
    """

    name: str
    kind: Literal["constant", "tensor", "weight", "stream"]
    constants: NDArray[np.float64] | None = None
    tensors: NDArray[np.float64] | None = None
    weights: dict[int, float] | None = None
    molecular: str | None = None
    source: str = ""
    columns: int = 1


@dataclass(frozen=True)
class AtomSource:
    """Numbers of each atom that LAMMPS has: ``key`` of the configuration, ``source`` (``d_NAME``, ``c_ID[i]``, …), and
    how many ``columns`` (1 or 9)."""

    key: str
    source: str
    columns: int


def basis_names(species: Sequence[str], own: Sequence[str], global_fluxes: Sequence[GlobalFlux] = ()) -> list[str]:
    """Names of the F basis fluxes: ``number/Ag``, …, ``atomic/Ag``, …, ``energy/energy``, ``stress/shear``, …

    ``own`` are the representations that have basis fluxes of their own.
    """
    particles = [f"{kind}/{name}" for kind in ("number", *own) for name in species]
    return particles + [name for flux in global_fluxes for name in flux.names]


def dipole_groups(representations: Sequence[str]) -> tuple[str, ...]:
    """What has a dipole displacement: the representations, then ``a - b`` for every pair of them, a before b."""
    return (*representations, *(f"{a} - {b}" for a, b in combinations(representations, 2)))


def with_differences(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (M, …) of representations, then the differences of the pairs, as in :func:`dipole_groups`."""
    pairs = [rows[a] - rows[b] for a, b in combinations(range(len(rows)), 2)]
    return np.stack([*rows, *pairs]) if len(rows) else rows


def particle_fluxes(names: Sequence[str]) -> int:
    """How many of these basis fluxes are fluxes of particles, which come first and have a moment."""
    kinds = [name.partition("/")[0] for name in names]
    return next((place for place, kind in enumerate(kinds) if kind in _GLOBAL_KINDS), len(kinds))


def species_weights(
    name: str, species: Sequence[str], charges: NDArray[np.float64], flux_names: Sequence[str]
) -> NDArray[np.float64]:
    """Rows (S, F): the current of each species in a representation, as combination of the basis fluxes.

    A representation that has fluxes of its own is made of these, any other of the number fluxes times the ``charges``
    (S,) of the species.
    """
    weights = np.zeros((len(species), len(flux_names)))
    places = {flux: place for place, flux in enumerate(flux_names)}
    own = has_own_fluxes(name, species, flux_names)
    for s, one in enumerate(species):
        weights[s, places[f"{name}/{one}" if own else f"number/{one}"]] = 1.0 if own else charges[s]
    return weights


def has_own_fluxes(name: str, species: Sequence[str], flux_names: Sequence[str]) -> bool:
    """Whether a representation has basis fluxes of its own."""
    return all(f"{name}/{one}" in flux_names for one in species)
