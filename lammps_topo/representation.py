"""Charge representations as linear combinations of the basis fluxes (physics.md §2).

Basis fluxes are, species by species, ``number`` (Σ v) and, where atoms carry charges, ``atomic`` (Σ q v).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def basis_names(species: Sequence[str], has_charge: bool) -> list[str]:
    """Names of the F basis fluxes: ``number/Ag``, …, ``atomic/Ag``, …"""
    kinds = ("number", "atomic") if has_charge else ("number",)
    return [f"{kind}/{name}" for kind in kinds for name in species]


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
