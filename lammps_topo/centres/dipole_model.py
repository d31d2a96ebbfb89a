"""A model of ion dipoles, linear in vectors that turn with the surroundings, and Born tensors by its derivative.

The dipole of ion i is a sum over its neighbours j at distance r in direction u,

    μ_i = Σ_j [ a(r) u + b(r) μ⁰_j + c(r) u (u·μ⁰_j) ],      μ⁰_j = Σ_k a⁰(r) u,

where a, b, c and a⁰ depend on both species: the second and third term are a field of neighbouring dipoles. Each is a
sum of Gaussians times a smooth cutoff. Since the model knows differences of positions only, the tensors

    Z*_j = q_j 1 + ∂(Σ_i μ_i)/∂r_j

add up to the total charge, and Σ_j Z*_j·v_j is exactly the time derivative of Σ_j q_j r_j + Σ_i μ_i: its conductivity
is that of the nominal charges q, as Σ μ is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..errors import ConfigError, FileError
from ..store import replace_file
from .neighbours import Pairs, add_up, find_pairs
from .snapshot import Array, Integers

_PARTS = ("first", "direct", "field", "along")
_FORMAT = "lammps_topo dipole model 1"


@dataclass(frozen=True)
class RadialBasis:
    """Gaussians, evenly spaced, times (1 + cos πr/cutoff)/2.

    Attributes
    ----------
    first, cutoff : centre of the first Gaussian, and where all vanish, Å; number : of Gaussians
    """

    first: float
    cutoff: float
    number: int

    def __post_init__(self) -> None:
        if not (0 < self.first < self.cutoff and self.number > 1):
            raise ConfigError("a radial basis needs 0 < first < cutoff and at least two functions")

    def values(self, r: Array) -> tuple[Array, Array]:
        """(P, K) of each function, and its derivative by r."""
        centres = np.linspace(self.first, self.cutoff, self.number + 1)[:-1]
        width = centres[1] - centres[0]
        off = (r[:, None] - centres) / width
        gaussian = np.exp(-0.5 * off**2)
        phase = np.pi * np.minimum(r / self.cutoff, 1.0)[:, None]
        smooth, slope = 0.5 * (1.0 + np.cos(phase)), -0.5 * np.pi / self.cutoff * np.sin(phase)
        return gaussian * smooth, gaussian * (slope - off / width * smooth)


@dataclass(frozen=True)
class DipoleModel:
    """Predicts ion dipoles and Born tensors.

    Attributes
    ----------
    species : names, in the order of LAMMPS's types 1, 2, …
    charges : (S,) nominal charge of each, e
    basis : of the radial functions
    first, direct, field, along : (S, S, K) coefficients of a⁰, a, b, c by species of ion and neighbour; the former two
        in e Å, the latter two without unit
    about : where it comes from, for people
    """

    species: tuple[str, ...]
    charges: Array
    basis: RadialBasis
    first: Array
    direct: Array
    field: Array
    along: Array
    about: str = ""

    def dipoles(self, positions: Array, types: Integers, cell: Array) -> Array:
        """(n, 3) in e Å; positions (n, 3) and cell (3, 3, rows) in Å, types from 1."""
        kinds = self._kinds(types)
        pairs = find_pairs(positions, cell, self.basis.cutoff)
        first, direct, field, along = self._functions(pairs, kinds, self.basis.values(pairs.distance)[0])
        start = add_up(pairs.i, first[:, None] * pairs.direction, pairs.atoms)[pairs.j]
        alongside = along * np.einsum("pc,pc->p", pairs.direction, start)
        return add_up(pairs.i, (direct + alongside)[:, None] * pairs.direction + field[:, None] * start, pairs.atoms)

    def predict(self, positions: Array, types: Integers, cell: Array) -> Array:
        """(n, 9) Born tensors in e, xx xy xz yx yy yz zx zy zz: the row is the direction of the current."""
        kinds = self._kinds(types)
        pairs = find_pairs(positions, cell, self.basis.cutoff)
        u, r, number = pairs.direction, pairs.distance, pairs.atoms
        values, slopes = self.basis.values(r)
        first, direct, field, along = self._functions(pairs, kinds, values)
        d_first, d_direct, d_field, d_along = self._functions(pairs, kinds, slopes)
        start = add_up(pairs.i, first[:, None] * u, number)[pairs.j]
        s = np.einsum("pc,pc->p", u, start)
        # weight of μ⁰_i in Σμ, from those about i: a pair is there from both sides
        weight = add_up(pairs.j, along[:, None, None] * u[:, :, None] * u[:, None, :], number)
        weight += add_up(pairs.j, field[:, None], number)[:, :, None] * np.eye(3)
        weight = weight[pairs.i]
        # ∂(Σμ)_α/∂r_jβ of a pair, with ∂u/∂r = (1 − u u)/r: what ends in u_β, in μ⁰_β, in δ_αβ, and what W turns
        across = (direct + along * s) / r
        into_u = (d_direct + d_along * s - across - along * s / r)[:, None] * u + d_field[:, None] * start
        into_u += (d_first - first / r)[:, None] * np.einsum("pab,pb->pa", weight, u)
        tensors = into_u[:, :, None] * u[:, None, :] + (along / r)[:, None, None] * u[:, :, None] * start[:, None, :]
        tensors += (first / r)[:, None, None] * weight + across[:, None, None] * np.eye(3)
        total = add_up(pairs.j, tensors, number) - add_up(pairs.i, tensors, number)
        total += self.charges[kinds][:, None, None] * np.eye(3)
        return total.reshape(-1, 9)

    def save(self, path: Path) -> None:
        """As YAML. Raises FileError."""
        basis = self.basis
        entry = {
            "format": _FORMAT,
            "about": self.about,
            "species": list(self.species),
            "charges": self.charges.tolist(),
            "basis": {"first": basis.first, "cutoff": basis.cutoff, "number": basis.number},
            **{part: getattr(self, part).round(8).tolist() for part in _PARTS},
        }
        replace_file(path, yaml.safe_dump(entry, sort_keys=False, default_flow_style=None, width=120).encode())

    def _functions(self, pairs: Pairs, kinds: Integers, radial: Array) -> Array:
        """(4, P) a⁰, a, b and c of each pair, or their slopes."""
        coefficients = np.stack([getattr(self, part) for part in _PARTS]).reshape(-1, self.basis.number)
        by_species = (radial @ coefficients.T).reshape(len(radial), len(_PARTS), -1)
        species = kinds[pairs.i] * len(self.species) + kinds[pairs.j]
        found: Array = by_species[np.arange(len(radial)), :, species].T
        return found

    def _kinds(self, types: Integers) -> Integers:
        if len(types) and not 1 <= types.min() <= types.max() <= len(self.species):
            raise ConfigError(
                f"the dipole model knows types 1 to {len(self.species)} ({', '.join(self.species)}), "
                f"but there are types {types.min()} to {types.max()}"
            )
        return types - 1


def load_dipole_model(path: str | Path) -> DipoleModel:
    """Read what :meth:`DipoleModel.save` wrote. Raises FileError."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"'{path}' cannot be read: {error}") from None
    try:
        entry: Any = yaml.safe_load(text)
        if entry["format"] != _FORMAT:
            raise ValueError(f"its format is '{entry['format']}'")
        basis = RadialBasis(**entry["basis"])
        species = tuple(str(name) for name in entry["species"])
        shape = (len(species), len(species), basis.number)
        parts = {name: np.asarray(entry[name], dtype=np.float64).reshape(shape) for name in _PARTS}
        charges = np.asarray(entry["charges"], dtype=np.float64).reshape(len(species))
        if not all(np.isfinite(numbers).all() for numbers in (charges, *parts.values())):
            raise ValueError("a number in it is not finite")
        return DipoleModel(species, charges, basis, **parts, about=str(entry["about"]))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise FileError(f"'{path}' is not a dipole model: {error}") from None
