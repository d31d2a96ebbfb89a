"""Charges or Born tensors of an ASE calculator (MACE, NequIP and others come with one), for ``model_charges``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..stream.block import Array


class AseModel:
    """A :class:`~lammps_topo.hosts.model_charges.ChargeModel` that asks an ASE calculator.

    Parameters
    ----------
    calculator : any that puts the property into its ``results``; for LAMMPS's units ``metal``, as ASE's are
    symbols : chemical symbols of LAMMPS's types 1, 2, …
    key : the property, ``charges`` (N,) or ``born_effective_charges`` (N, 3, 3)
    transpose : of tensors whose rows are the direction of the displacement, not of the current
    """

    def __init__(
        self, calculator: Any, symbols: Sequence[str], *, key: str = "charges", transpose: bool = False
    ) -> None:
        self._calculator, self._symbols, self._key, self._transpose = calculator, list(symbols), key, transpose

    def predict(self, positions: Array, types: NDArray[np.int64], cell: Array) -> Array:
        """The property, in the order of ``positions``. Raises ConfigError where the calculator has none."""
        from ase import Atoms

        if types.max() > len(self._symbols):
            raise ConfigError(f"there are {len(self._symbols)} symbols, but atoms of type {types.max()}")
        atoms = Atoms([self._symbols[kind - 1] for kind in types], positions, cell=cell, pbc=True)
        self._calculator.calculate(atoms, [self._key], ["positions", "numbers", "cell", "pbc"])
        if self._key not in self._calculator.results:
            there = ", ".join(sorted(self._calculator.results))
            raise ConfigError(f"the calculator has no '{self._key}' (there are: {there})")
        values: Array = np.asarray(self._calculator.results[self._key], dtype=np.float64)
        return np.swapaxes(values, -1, -2) if self._transpose and values.ndim == 3 else values
