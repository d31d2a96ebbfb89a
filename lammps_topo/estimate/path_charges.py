"""The charges of all particles along a path, in every representation that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..config import Config
from ..config_representations import Charges
from ..errors import ConfigError
from ..topology.path import Array, Path


def oxidation_states(config: Config, unit: float) -> dict[str, float]:
    """In elementary charges by species, where they are given; ``unit`` is that of the configuration."""
    species = config.species or {}
    return {name: one.oxidation * unit for name, one in species.items() if one.oxidation is not None}


def path_charges(
    path: Path, config: Config, *, kinds: Sequence[int | str], given: Mapping[str, Array], unit: float
) -> dict[str, Array]:
    """Charges (K, n) or tensors (K, n, 3, 3) by representation, in elementary charges.

    Parameters
    ----------
    path : the particles
    config : its representations; without any, oxidation states of all species, and ``atomic``, where they are known
    kinds : (n,) LAMMPS type or element symbol of each particle
    given : charges that the file or the run has at every point, by representation: ``atomic`` is LAMMPS's q
    unit : elementary charges in the unit of charge of the configuration and of ``given``

    Raises
    ------
    ConfigError
        A representation is not known for a path, or lacks a species.
    """
    wanted = config.representations
    if wanted is None:
        full = set(path.kinds) <= set(oxidation_states(config, unit))
        wanted = {**({"oxidation": None} if full else {}), **({"atomic": None} if "atomic" in given else {})}
    if not wanted:
        raise ConfigError("the path has no charges: give those of its species, as in '--charge K=1 --centre X=-2'")
    return {name: _along(path, name, one, config, kinds, given) * unit for name, one in wanted.items()}


def constant_charges(path: Path, charges: Mapping[str, float], what: str) -> Array:
    """(K, n) from charges by species; ``what`` names them in errors."""
    for name in path.kinds:
        if name not in charges:
            raise ConfigError(f"{what}: no charge is given for the species '{name}' of the path")
    for name in charges:
        if name not in path.kinds:
            raise ConfigError(f"{what}: the path has no species '{name}' (there are: {', '.join(path.kinds)})")
    return _repeated(path, np.array([charges[name] for name in path.species]))


def _repeated(path: Path, charges: Array) -> Array:
    """The same at every point."""
    return np.broadcast_to(charges, (len(path.positions), *charges.shape))


def _along(
    path: Path,
    name: str,
    definition: Charges | None,
    config: Config,
    kinds: Sequence[int | str],
    given: Mapping[str, Array],
) -> Array:
    where = f"key 'representations.{name}'"
    if name in given:
        return given[name]
    if name == "oxidation":
        return constant_charges(path, oxidation_states(config, 1.0), "key 'species.*.oxidation'")
    if definition is not None and definition.oxidation is not None:
        return constant_charges(path, definition.oxidation, where)
    if definition is not None and definition.carriers is not None:
        missing = [kind for kind in kinds if kind not in definition.carriers]
        if missing:
            raise ConfigError(f"{where} has no weight for the type {missing[0]} of the path")
        return _repeated(path, np.array([definition.carriers[kind] for kind in kinds]))
    if definition is not None and isinstance(definition.born, dict):
        missing = [kind for kind in path.kinds if kind not in definition.born]
        if missing:
            raise ConfigError(f"{where} has no tensor for the species '{missing[0]}' of the path")
        return _repeated(path, np.array([definition.born[species] for species in path.species]))
    if name == "atomic":
        raise ConfigError("key 'representations': 'atomic' needs charges (q) along the path, and it has none")
    kind = "molecular" if definition is None else definition.given[0]
    raise ConfigError(f"{where}: '{kind}' is not known along this path")
