"""Where cations sit about the centres of anions: joint distribution g(r, θ) ([P] Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .snapshot import Array, CentreSnapshot, cell_heights, nearest_image


@dataclass(frozen=True)
class JointDistribution:
    """g(r, θ): r from a centre to a cation, θ the angle there between the cation and the centre's own anion.

    Attributes
    ----------
    r_edges : (R+1,) Å; angle_edges : (A+1,) degrees
    g : (R, A), 1 where cations were uniform
    """

    r_edges: Array
    angle_edges: Array
    g: Array

    def peak(self) -> tuple[float, float]:
        """Middle of the highest cell: r in Å, θ in degrees."""
        r, angle = np.unravel_index(int(self.g.argmax()), self.g.shape)
        return float(self.r_edges[r : r + 2].mean()), float(self.angle_edges[angle : angle + 2].mean())


def joint_distribution(
    snapshots: Sequence[CentreSnapshot], cation: str, anion: str, *, r_bins: int = 45, angle_bins: int = 36
) -> JointDistribution:
    """g(r, θ) of cation - centre of an anion - anion, out to half the least height of the smallest cell.

    Raises
    ------
    EstimateError
        There are no such ions.
    """
    longest = min(float(cell_heights(one.cell).min()) for one in snapshots) / 2.0
    edges = np.linspace(0.0, longest, r_bins + 1)
    angles = np.linspace(0.0, 180.0, angle_bins + 1)
    counts, uniform = np.zeros((r_bins, angle_bins)), 0.0
    for one in snapshots:
        mine = np.isin(one.ion, one.rows(anion))
        cations = one.positions[one.rows(cation)]
        to_cation = nearest_image(cations[None] - one.centres[mine][:, None], one.cell)
        to_anion = -one.bonds()[mine]
        r = np.linalg.norm(to_cation, axis=-1)
        length = r * np.linalg.norm(to_anion, axis=-1)[:, None]
        cosine = np.einsum("mnc,mc->mn", to_cation, to_anion) / np.where(length > 0, length, 1.0)
        angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        counts += np.histogram2d(r.ravel(), angle.ravel(), (edges, angles))[0]
        uniform += r.size / abs(float(np.linalg.det(one.cell)))
    if not uniform:
        raise EstimateError(f"there are no centres of {anion} with {cation} about them")
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    share = -0.5 * np.diff(np.cos(np.radians(angles)))
    return JointDistribution(edges, angles, counts / (uniform * shells[:, None] * share))
