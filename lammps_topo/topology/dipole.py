"""The dipole that is displaced along a path."""

from __future__ import annotations

import numpy as np

from ..errors import EstimateError
from .images import fractional
from .path import Array, Path


def displaced_dipole(steps: Array, charges: Array) -> Array:
    """Δμ (K, 3) from the first point to each of them: Σ_i ½ [Z_i(k) + Z_i(k+1)] · [r_i(k+1) − r_i(k)].

    Exact for charges that do not change, of second order in the step for those that do.

    Parameters
    ----------
    steps : (K − 1, n, 3)
    charges : (K, n) numbers, or (K, n, 3, 3) tensors whose row is the direction of the dipole
    """
    mean = 0.5 * (charges[1:] + charges[:-1])
    contract = "kn,kna->ka" if mean.ndim == 2 else "knab,knb->ka"
    return np.concatenate((np.zeros((1, 3)), np.cumsum(np.einsum(contract, mean, steps), axis=0)))


def discretisation_error(steps: Array, charges: Array, cell: Array) -> Array:
    """|Q − Q of every second point|/3 (3,), the error of second order; 0 for charges that do not change."""
    if (charges == charges[:1]).all():
        return np.zeros(3)
    coarse = np.add.reduceat(steps, np.arange(0, len(steps), 2), axis=0)
    points = [*range(0, len(steps), 2), len(steps)]
    difference = displaced_dipole(coarse, charges[points])[-1] - displaced_dipole(steps, charges)[-1]
    return np.abs(fractional(difference, cell)) / 3.0


#: Largest change of the dipole between two points, in quanta, at which it is known which way centres have gone.
LARGEST_CHANGE = 0.4


def check_branch(path: Path, dipole: Array, quanta: dict[str, float]) -> None:
    """Refuse a path whose points are too far apart to tell how centres move.

    Centres may be exchanged for each other at will without a change of the dipole, but for multiples of its quantum:
    the charge of a centre (``quanta`` by species) times a lattice vector. Which multiple is known as long as each
    change is well below half a quantum.

    Parameters
    ----------
    dipole : (K, 3) Δμ

    Raises
    ------
    EstimateError
        Naming the two points.
    """
    charges = [abs(charge) for charge in quanta.values() if charge]
    if not charges or path.continuous:
        return
    quantum = min(charges)
    change = np.abs(fractional(np.diff(dipole, axis=0), path.cell)) / quantum * np.array(path.periodic)
    k, axis = np.unravel_index(int(change.argmax()), change.shape)
    if change[k, axis] > LARGEST_CHANGE:
        raise EstimateError(
            f"the dipole changes by {change[k, axis]:.2f} of its quantum ({quantum:g} × cell vector {'abc'[axis]}) "
            f"between {path.names[k]} and {path.names[k + 1]}, so that it cannot be told which way the centres went "
            f"(at most {LARGEST_CHANGE:g}): put more points on the path"
        )
