"""Orientation of the tetrahedron that four centres make about an anion: rotor functions of l = 3 ([P] eq. 15-16)."""

from __future__ import annotations

import numpy as np

from .snapshot import Array, CentreSnapshot

_NORM = 3.0 * np.sqrt(5.0) / 40.0
"""With it the mean of M₂² over all orientations of a regular tetrahedron is 1/7, an equal share of the seven functions
of l = 3, whose squares add up to 1."""


def rotor(bonds: Array, axis: int = 2) -> Array:
    """M₂ = 3√5/40 Σ_i (5 z_i³ − 3 z_i), z_i the component of a unit vector along ``axis``; [P] eq. 16.

    Parameters
    ----------
    bonds : (…, 4, 3) from an anion to its four centres, of any length
    """
    z = bonds[..., axis] / np.linalg.norm(bonds, axis=-1)
    total: Array = _NORM * (5.0 * z**3 - 3.0 * z).sum(axis=-1)
    return total


def tetrahedrality(bonds: Array) -> Array:
    """Σ_λ M_λ² over the seven functions of l = 3: 1 for a regular tetrahedron, whatever its orientation.

    By the addition theorem it is 9/80 Σ_ij P₃(cos θ_ij), the angles being those between the bonds (…, 4, 3).
    """
    unit = bonds / np.linalg.norm(bonds, axis=-1, keepdims=True)
    cosines = unit @ np.swapaxes(unit, -1, -2)
    total: Array = 9.0 / 80.0 * (2.5 * cosines**3 - 1.5 * cosines).sum(axis=(-1, -2))
    return total


def rotor_correlation(bonds: Array, lags: int) -> Array:
    """C₂(t) = ⟨M₂(0) M₂(t)⟩/⟨M₂²⟩ of a series ([P] eq. 15), averaged over origins, anions, and the three axes.

    Parameters
    ----------
    bonds : (T, n, 4, 3) of n anions at T equally spaced times
    lags : number of lags, at most T

    Returns
    -------
    (lags,)
    """
    series = np.stack([rotor(bonds, axis) for axis in range(3)], axis=-1).reshape(len(bonds), -1)
    length = len(series)
    spectrum = np.fft.rfft(series, 2 * length, axis=0)
    sums = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1), 2 * length)[:lags]
    products = sums / (length - np.arange(lags))
    correlation: Array = products / products[0]
    return correlation


def four_bonds(snapshot: CentreSnapshot, name: str) -> Array:
    """(k, 4, 3) bonds of those ions of a species that hold four centres, Å."""
    order = np.argsort(snapshot.ion, kind="stable")
    first = np.searchsorted(snapshot.ion[order], snapshot.rows(name))
    whole = first[snapshot.held[snapshot.rows(name)] == 4]
    bonds: Array = snapshot.bonds()[order][whole[:, None] + np.arange(4)]
    return bonds
