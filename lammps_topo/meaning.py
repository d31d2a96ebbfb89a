"""What a configuration means for a run: which species, charges, correlations and running values there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .config import Config, Precision
from .config_representations import Charges
from .errors import ConfigError
from .estimate.running import running_names
from .estimate.wanted import wanted_names
from .host import Host
from .representation import STRESS_NAMES, AtomSource, GlobalFlux, Representation
from .stopping import stop_names
from .stream.communicator import Communicator


def present_types(host: Host, comm: Communicator) -> list[int]:
    """LAMMPS types of the atoms of the group. Collective."""
    return sorted(set().union(*comm.collect({int(kind) for kind in np.unique(host.types)})))


def find_species(config: Config, host: Host, comm: Communicator) -> tuple[list[str], dict[int, int]]:
    """Names of the species, and the species of each type. Collective; ConfigError where they do not fit the run."""
    present = present_types(host, comm)
    if config.species is None:
        names = [host.labels.get(kind, str(kind)) for kind in present]
        return names, {kind: index for index, kind in enumerate(present)}
    names = list(config.species)
    numbers = {label: kind for kind, label in host.labels.items()}
    listing = _listed(host, present)
    of_type: dict[int, int] = {}
    for index, (name, species) in enumerate(config.species.items()):
        kinds = {numbers.get(kind, -1) if isinstance(kind, str) else kind for kind in species.type}
        if not kinds & set(present):
            raise ConfigError(
                f"key 'species.{name}.type': no atom of the group has the type "
                f"{' or '.join(map(str, species.type))} (types of the group: {listing})"
            )
        of_type.update(dict.fromkeys(kinds, index))
    for kind in present:
        if kind not in of_type:
            raise ConfigError(
                f"key 'species': atoms of type {kind} are in the group, but belong to no species "
                f"(species: {', '.join(names)}; types of the group: {listing})"
            )
    return names, of_type


def _listed(host: Host, kinds: Iterable[int]) -> str:
    """Types as errors name them, with their labels."""
    return ", ".join(f"{kind} ({host.labels[kind]})" if kind in host.labels else str(kind) for kind in kinds)


def find_oxidation(config: Config) -> dict[str, float]:
    """The charges of species that are given."""
    species = config.species or {}
    return {name: value.oxidation for name, value in species.items() if value.oxidation is not None}


def find_representations(
    config: Config,
    host: Host,
    species: Sequence[str],
    species_of_type: Mapping[int, int],
    present: Sequence[int],
    notices: list[str],
) -> tuple[Representation, ...]:
    """The charge representations that are wanted, or those that there can be.

    ``present`` are the types of the group. Raises ConfigError where one cannot be had.
    """
    charges = find_oxidation(config)
    wanted = config.representations
    if wanted is None:
        complete = bool(species) and len(charges) == len(species)
        wanted = {"oxidation": None} if complete else {}
        wanted |= {"atomic": None} if host.has_charge else {}
        if not wanted:
            notices.append("no charges (no 'q', no 'oxidation'): no conductivity, only diffusion is measured")
    found = []
    for name, definition in wanted.items():
        if name == "oxidation":
            found.append(_constant(name, charges, species, "oxidation"))
        elif name == "atomic":
            if not host.has_charge:
                raise ConfigError(
                    "key 'representations': 'atomic' needs an atom style with charges (q), which the run lacks"
                )
            found.append(Representation(name, "stream"))
        elif name == "molecular" or (definition is not None and definition.molecular is not None):
            given = None if definition is None else definition.molecular
            found.append(
                _molecular(name, given or ("atomic" if host.has_charge else "oxidation"), host, species, charges)
            )
        else:
            assert definition is not None
            found.append(_defined(name, definition, host, species, species_of_type, present))
    return tuple(found)


def _defined(
    name: str,
    definition: Charges,
    host: Host,
    species: Sequence[str],
    species_of_type: Mapping[int, int],
    present: Sequence[int],
) -> Representation:
    key = f"representations.{name}.{definition.given[0]}"
    if definition.oxidation is not None:
        return _constant(name, definition.oxidation, species, key)
    if definition.charge is not None:
        return Representation(name, "stream", source=definition.charge)
    if isinstance(definition.born, str):
        return Representation(name, "stream", source=definition.born, columns=9)
    if definition.born is not None:
        _check_species(key, definition.born, species)
        tensors = np.array([definition.born[one] for one in species])
        return Representation(name, "tensor", np.trace(tensors, axis1=1, axis2=2) / 3, tensors)
    assert definition.carriers is not None
    return _carriers(name, definition.carriers, host, species, species_of_type, present)


def _check_species(key: str, given: Mapping[str, Any], species: Sequence[str]) -> None:
    """All species, and no others, are given."""
    for name in given:
        if name not in species:
            raise ConfigError(f"key '{key}': '{name}' is not a species (there are: {', '.join(species)})")
    for name in species:
        if name not in given:
            raise ConfigError(
                f"key '{key}': species '{name}' is missing (every species needs a charge, 0 if it has none)"
            )


def _constant(name: str, charges: Mapping[str, float], species: Sequence[str], key: str) -> Representation:
    if name != "oxidation":
        _check_species(key, charges, species)
    return Representation(name, "constant", np.array([charges[one] for one in species]))


def _molecular(
    name: str, charges: str, host: Host, species: Sequence[str], oxidation: Mapping[str, float]
) -> Representation:
    key = "representations" if name == "molecular" else f"representations.{name}.molecular"
    if not host.has_molecules:
        raise ConfigError(
            f"key '{key}': '{name}' needs molecule ids, which the run lacks (an atom style with molecules, or fix "
            "property/atom mol; a column 'mol' in a trajectory)"
        )
    if charges == "atomic" and not host.has_charge:
        raise ConfigError(f"key '{key}': '{name}' needs an atom style with charges (q), which the run lacks")
    missing = [one for one in species if one not in oxidation]
    if charges == "oxidation" and missing:
        raise ConfigError(
            f"key '{key}': '{name}' needs a charge 'oxidation' for every species; species '{missing[0]}' has none"
        )
    return Representation(name, "weight", molecular=charges)


def _carriers(
    name: str,
    given: Mapping[int | str, float],
    host: Host,
    species: Sequence[str],
    species_of_type: Mapping[int, int],
    present: Sequence[int],
) -> Representation:
    """Weights by type; a species none of whose types is given does not carry."""
    key = f"representations.{name}.carriers"
    numbers = {label: kind for kind, label in host.labels.items()}
    listing = _listed(host, present)
    weights: dict[int, float] = {}
    for kind, weight in given.items():
        number = numbers.get(kind, -1) if isinstance(kind, str) else kind
        if number not in present:
            raise ConfigError(f"key '{key}': no atom of the group has the type {kind} (types of the group: {listing})")
        weights[number] = weight
    of_species: list[list[float]] = [[] for _ in species]
    for place, one in enumerate(species):
        kinds = [kind for kind in present if species_of_type[kind] == place]
        missing = [kind for kind in kinds if kind not in weights]
        if missing and len(missing) < len(kinds):
            raise ConfigError(
                f"key '{key}': type {missing[0]} of the species '{one}' has no weight, but others of it have"
            )
        weights.update(dict.fromkeys(missing, 0.0))
        of_species[place] = [weights[kind] for kind in kinds]
    if all(len(set(values)) < 2 for values in of_species):
        constants = np.array([values[0] if values else 0.0 for values in of_species])
        return Representation(name, "constant", constants)
    return Representation(name, "weight", weights=weights)


def find_atom_sources(representations: Iterable[Representation]) -> tuple[AtomSource, ...]:
    """What hosts pack behind charges and forces, in this order."""
    return tuple(
        AtomSource(f"representations.{one.name}.{'born' if one.columns > 1 else 'charge'}", one.source, one.columns)
        for one in representations
        if one.source
    )


def wanted_atom_values(config: Config) -> dict[str, int]:
    """Per-atom numbers of LAMMPS that the configuration asks for as charges, and how many columns they have."""
    given = [one for one in (config.representations or {}).values() if one is not None]
    found = {one.charge: 1 for one in given if one.charge is not None}
    return found | {one.born: 9 for one in given if isinstance(one.born, str)}


def find_pairs(config: Config, host: Host, species: Sequence[str]) -> tuple[str, ...]:
    """The correlations that are wanted, and can be had."""
    chosen = config.correlations
    if chosen is None:
        return ()
    if not host.has_velocity:
        raise ConfigError("key 'correlations': velocity correlations need velocities, which the run lacks")
    for name in chosen.species or []:
        if name not in species:
            allowed = ", ".join(species)
            raise ConfigError(f"key 'correlations.species': '{name}' is not a species (there are: {allowed})")
    if chosen.pairs is not None:
        if any("f" in pair for pair in chosen.pairs) and not host.has_force:
            raise ConfigError("key 'correlations.pairs': pairs with a force 'f' need forces, which the run lacks")
        return tuple(dict.fromkeys(chosen.pairs))
    return ("vv", "ff", "vf", "fv") if host.has_force and chosen.force != "none" else ("vv",)


def find_global_fluxes(config: Config) -> tuple[GlobalFlux, ...]:
    """The fluxes that LAMMPS computes as a whole, in the order in which they stand behind those of particles."""
    heat = config.heat or {}
    found = [
        GlobalFlux("heat" if list(heat) == ["energy"] else f"heat.{name}", (f"energy/{name}",), _single(sources, 3))
        for name, sources in heat.items()
    ]
    if config.stress is not None:
        found.append(GlobalFlux("stress", STRESS_NAMES, _single(config.stress, 6)))
    found += [
        GlobalFlux(f"fluxes.{name}", (f"flux/{name}",), _single(sources, 3))
        for name, sources in (config.fluxes or {}).items()
    ]
    return tuple(found)


def _single(sources: Sequence[str], number: int) -> tuple[str, ...]:
    """Numbers one by one, also where a whole vector is meant."""
    if len(sources) == number:
        return tuple(sources)
    return tuple(f"{sources[0]}[{i}]" for i in range(1, number + 1))


def checked_host(config: Config, species: Sequence[str]) -> list[int]:
    """Indices of the species of the host lattice."""
    for name in config.host or []:
        if name not in species:
            raise ConfigError(f"key 'host': '{name}' is not a species (there are: {', '.join(species)})")
    return [species.index(name) for name in config.host or []]


def find_wanted(config: Config, representations: Sequence[str], species: Sequence[str]) -> dict[str, Precision]:
    """The quantities of the section ``stop``, by their full names, and how well they are wanted."""
    names = wanted_names(representations, species, tuple(config.heat or ()), stress=config.stress is not None)
    found = {}
    for name, precision in (config.stop.wanted if config.stop is not None else {}).items():
        if name not in names:
            why = "is not known" if representations else "is not known, and without charges there is no conductivity"
            raise ConfigError(f"key 'stop': the quantity '{name}' {why} (allowed: {', '.join(names)})")
        found[names[name]] = precision
    return found


def find_thermo(
    config: Config, representations: Sequence[str], species: Sequence[str], wanted: Iterable[str]
) -> tuple[str, ...]:
    """Names of the running values; ``wanted`` are the quantities of the section ``stop``."""
    allowed, usual = running_names(tuple(representations), list(species))
    if config.stop is not None:
        allowed, usual = [*allowed, *stop_names(wanted)], [*usual, "stop_time"]
    if config.thermo is None:
        return tuple(usual)
    for name in config.thermo:
        if name not in allowed:
            raise ConfigError(f"key 'thermo': '{name}' is not known (allowed: {', '.join(allowed)})")
    return tuple(config.thermo)
