"""The basis fluxes, and charge representations as linear combinations of them (physics.md §2).

First come, species by species, those of particles: ``number`` (Σ v) and, where atoms carry charges, ``atomic`` (Σ q v).
Behind them are the global ones, which LAMMPS computes as a whole: ``energy``, ``stress`` and any other ``flux``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Basis fluxes made of the pressure tensor: V (xy, xz, yz), and V (xx − p, yy − p, zz − p)/√2, where p is the mean of
#: the diagonal. In an isotropic fluid each of the 3 + 2 independent components has the same spectral density.
STRESS_NAMES = ("stress/shear", "stress/normal")
_PARTICLE_KINDS = ("number", "atomic")
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


def basis_names(species: Sequence[str], has_charge: bool, global_fluxes: Sequence[GlobalFlux] = ()) -> list[str]:
    """Names of the F basis fluxes: ``number/Ag``, …, ``atomic/Ag``, …, ``energy/energy``, ``stress/shear``, …"""
    kinds = _PARTICLE_KINDS if has_charge else _PARTICLE_KINDS[:1]
    particles = [f"{kind}/{name}" for kind in kinds for name in species]
    return particles + [name for flux in global_fluxes for name in flux.names]


def particle_fluxes(names: Sequence[str]) -> int:
    """How many of these basis fluxes are fluxes of particles, which come first and have a moment."""
    kinds = [name.partition("/")[0] for name in names]
    return next((place for place, kind in enumerate(kinds) if kind in _GLOBAL_KINDS), len(kinds))


def representation_weights(
    representation: str, species: Sequence[str], oxidation: Mapping[str, float], basis: int
) -> NDArray[np.float64]:
    """Rows (S, F = basis): the current of each species in a representation, as combination of the basis fluxes.

    ``oxidation`` takes the charge of a species times its number flux, ``atomic`` the flux of the atoms' own charges.
    """
    number = len(species)
    weights = np.zeros((number, basis))
    for s, name in enumerate(species):
        if representation == "oxidation":
            weights[s, s] = oxidation[name]
        else:
            weights[s, number + s] = 1.0
    return weights
