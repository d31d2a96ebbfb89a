"""What a configuration means for a run: which species, charges, correlations and running values there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .config import Config, Precision
from .errors import ConfigError
from .estimate.running import running_names
from .estimate.wanted import wanted_names
from .host import Host
from .representation import STRESS_NAMES, GlobalFlux
from .stopping import stop_names
from .stream.communicator import Communicator


def find_species(config: Config, host: Host, comm: Communicator) -> tuple[list[str], dict[int, int]]:
    """Names of the species, and the species of each type. Collective; ConfigError where they do not fit the run."""
    present = sorted(set().union(*comm.collect({int(kind) for kind in np.unique(host.types)})))
    if config.species is None:
        names = [host.labels.get(kind, str(kind)) for kind in present]
        return names, {kind: index for index, kind in enumerate(present)}
    names = list(config.species)
    numbers = {label: kind for kind, label in host.labels.items()}
    listing = ", ".join(f"{kind} ({host.labels[kind]})" if kind in host.labels else str(kind) for kind in present)
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


def find_oxidation(config: Config) -> dict[str, float]:
    """The charges of species that are given."""
    species = config.species or {}
    return {name: value.oxidation for name, value in species.items() if value.oxidation is not None}


def find_representations(config: Config, host: Host, species: Sequence[str], notices: list[str]) -> tuple[str, ...]:
    """The charge representations that are wanted, or those that there can be."""
    wanted = config.representations
    if wanted is None:
        found = []
        if species and len(find_oxidation(config)) == len(species):
            found.append("oxidation")
        if host.has_charge:
            found.append("atomic")
        if not found:
            notices.append("no charges (no 'q', no 'oxidation'): no conductivity, only diffusion is measured")
        return tuple(found)
    if "atomic" in wanted and not host.has_charge:
        raise ConfigError("key 'representations': 'atomic' needs an atom style with charges (q), which the run lacks")
    return tuple(dict.fromkeys(wanted))


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
    names = wanted_names(representations, species)
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
