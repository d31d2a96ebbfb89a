"""Fit of :class:`~lammps_topo.centres.dipole_model.DipoleModel` to dipoles: ridge regression in two stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .dipole_model import DipoleModel, RadialBasis
from .distribution import standard_error
from .neighbours import Pairs, add_up, find_pairs
from .snapshot import DEBYE, Array, Integers

RIDGES = tuple(10.0**k for k in range(-7, 0))
"""Weights of the penalty among which cross-validation chooses, relative to the mean square of each descriptor."""

_FOLDS = 5


@dataclass(frozen=True)
class DipoleData:
    """A configuration and its dipoles: positions (n, 3) and cell in Å, types (n,) from 1, dipoles (n, 3) in e Å."""

    positions: Array
    types: Integers
    cell: Array
    dipoles: Array


@dataclass(frozen=True)
class DipoleErrors:
    """Of predicted dipoles, Debye.

    Attributes
    ----------
    error : rms error of a component; uncertainty : its standard error, from how configurations differ
    size : rms of the component itself
    explained : 1 − error²/size²
    """

    error: float
    uncertainty: float
    size: float

    @property
    def explained(self) -> float:
        """Share of the mean square that is predicted."""
        return 1.0 - (self.error / self.size) ** 2


def fit_dipoles(
    data: Sequence[DipoleData], species: tuple[str, ...], charges: Array, basis: RadialBasis, about: str = ""
) -> tuple[DipoleModel, float]:
    """The model of these data, and the penalty's weight that cross-validation over whole configurations chose.

    First a⁰ is fitted to the dipoles by itself, then a, b and c with μ⁰ given: both are linear.

    Raises
    ------
    EstimateError
        Fewer configurations than parts of the cross-validation.
    """
    if len(data) < _FOLDS:
        raise EstimateError(f"{len(data)} configurations are too few to fit dipoles to (at least {_FOLDS})")
    parts = [_Configuration(one, basis, len(species)) for one in data]
    parted = [[part for k, part in enumerate(parts) if k % _FOLDS != fold] for fold in range(_FOLDS)]
    left_out = [parts[fold::_FOLDS] for fold in range(_FOLDS)]

    def left_out_error(ridge: float) -> float:
        squares = 0.0
        for fitted, others in zip(parted, left_out, strict=True):
            first, second = _fit(fitted, len(species), ridge)
            squares += sum(float(((part.predict(first, second) - part.dipoles) ** 2).sum()) for part in others)
        return squares

    ridge = min(RIDGES, key=left_out_error)
    first, second = _fit(parts, len(species), ridge)
    shape = (len(species), len(species), basis.number)
    blocks = second.reshape(len(species), 3, *shape[1:])
    direct, field, along = (blocks[:, k] for k in range(3))
    return DipoleModel(species, charges, basis, first.reshape(shape), direct, field, along, about), ridge


def dipole_errors(model: DipoleModel, data: Sequence[DipoleData]) -> dict[str, DipoleErrors]:
    """By species, and of ``cell``, the sum over all ions."""
    predicted = [model.dipoles(one.positions, one.types, one.cell) for one in data]
    off = [DEBYE * (mu - one.dipoles) for mu, one in zip(predicted, data, strict=True)]
    found = {}
    for kind, name in enumerate(model.species, 1):
        own = [one.types == kind for one in data]
        found[name] = _errors(
            [rows[mine] for rows, mine in zip(off, own, strict=True)],
            [DEBYE * one.dipoles[mine] for one, mine in zip(data, own, strict=True)],
        )
    cells = [rows.sum(axis=0) for rows in off]
    found["cell"] = _errors(cells, [DEBYE * one.dipoles.sum(axis=0) for one in data])
    return found


class _Configuration:
    """Descriptors of a configuration, (n, D, 3) for each ion: of the first stage, and of the second given μ⁰."""

    def __init__(self, data: DipoleData, basis: RadialBasis, species: int) -> None:
        self.dipoles, self.kinds, self._species = data.dipoles, data.types - 1, species
        self._pairs: Pairs = find_pairs(data.positions, data.cell, basis.cutoff)
        self._values, _ = basis.values(self._pairs.distance)
        self.direct = self._summed(self._pairs.direction)

    def _summed(self, vectors: Array) -> Array:
        """(n, S K, 3) sums over the neighbours of each species of radial functions times ``vectors`` (P, 3)."""
        pairs = self._pairs
        slots = pairs.i * self._species + self.kinds[pairs.j]
        sums = add_up(slots, self._values[:, :, None] * vectors[:, None, :], pairs.atoms * self._species)
        return sums.reshape(pairs.atoms, -1, 3)

    def whole(self, first: Array) -> Array:
        """(n, 3 S K, 3)."""
        u = self._pairs.direction
        start = _applied(self.direct, first, self.kinds)[self._pairs.j]
        along = u * np.einsum("pc,pc->p", u, start)[:, None]
        return np.concatenate((self.direct, self._summed(start), self._summed(along)), axis=1)

    def predict(self, first: Array, second: Array) -> Array:
        """Dipoles (n, 3) in e Å by the coefficients of the first guess and of the rest."""
        return _applied(self.whole(first), second, self.kinds)


def _fit(parts: Sequence[_Configuration], species: int, ridge: float) -> tuple[Array, Array]:
    """Coefficients of both stages, (S, S K) and (S, 3 S K)."""
    first = _ridge(parts, [part.direct for part in parts], species, ridge)
    return first, _ridge(parts, [part.whole(first) for part in parts], species, ridge)


def _ridge(parts: Sequence[_Configuration], descriptors: Sequence[Array], species: int, ridge: float) -> Array:
    rows = []
    for kind in range(species):
        own = np.concatenate([one[part.kinds == kind] for one, part in zip(descriptors, parts, strict=True)])
        wanted = np.concatenate([part.dipoles[part.kinds == kind] for part in parts]).reshape(-1)
        matrix = np.swapaxes(own, 1, 2).reshape(len(wanted), -1)
        scale = np.sqrt((matrix**2).mean(axis=0))
        scale[scale == 0] = 1.0
        matrix = matrix / scale
        normal = matrix.T @ matrix + ridge * len(matrix) * np.eye(matrix.shape[1])
        rows.append(np.linalg.solve(normal, matrix.T @ wanted) / scale)
    return np.stack(rows)


def _applied(descriptors: Array, coefficients: Array, kinds: Integers) -> Array:
    found: Array = np.einsum("ndc,nd->nc", descriptors, coefficients[kinds])
    return found


def _errors(off: Sequence[Array], wanted: Sequence[Array]) -> DipoleErrors:
    """Of each configuration, all with equally many ions."""
    squares = np.array([(rows**2).mean() for rows in off])
    error = float(np.sqrt(squares.mean()))
    spread = float(standard_error(squares))
    size = float(np.sqrt(np.mean([(rows**2).mean() for rows in wanted])))
    return DipoleErrors(error, spread / (2.0 * error) if error > 0 else spread, size)
