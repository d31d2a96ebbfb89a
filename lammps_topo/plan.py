"""The plan of a measurement: what its configuration asks for in terms of the run, known before the first sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .config import Config, Precision
from .errors import ConfigError
from .host import Host
from .meaning import (
    checked_host,
    find_atom_sources,
    find_global_fluxes,
    find_oxidation,
    find_pairs,
    find_representations,
    find_species,
    find_thermo,
    find_wanted,
    present_types,
)
from .representation import AtomSource, GlobalFlux, Representation, basis_names
from .stream.communicator import Communicator
from .units import Units, unit_style


@dataclass(frozen=True)
class Plan:
    """What is measured, and of what; the same on all ranks.

    Attributes
    ----------
    config, host : the configuration, and what is known of the run
    units : of the run
    species : names of the S species
    species_of_type : the index of that to which a LAMMPS type belongs
    oxidation : charges of species, where given
    charges : the representations
    host_species : indices of the species of the host lattice
    pairs : correlations that are measured
    global_fluxes : those whose numbers come with each sample, in this order
    wanted : how well quantities are wanted that end the run, by their full names
    thermo : names of the running values
    """

    config: Config
    host: Host
    units: Units
    species: tuple[str, ...]
    species_of_type: dict[int, int]
    oxidation: dict[str, float]
    charges: tuple[Representation, ...]
    host_species: tuple[int, ...]
    pairs: tuple[str, ...]
    global_fluxes: tuple[GlobalFlux, ...]
    wanted: dict[str, Precision]
    thermo: tuple[str, ...]

    @property
    def interval(self) -> float:
        """Time between samples."""
        return self.host.timestep * self.host.every

    @property
    def representations(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.charges)

    @property
    def needs_molecules(self) -> bool:
        return any(one.molecular for one in self.charges)

    @property
    def force(self) -> str | None:
        """The per-atom force that is packed: ``total``, a part of it by its LAMMPS name, or None."""
        wanted = any("f" in pair for pair in self.pairs)
        return self.config.correlations.force if wanted and self.config.correlations is not None else None

    @property
    def numbers(self) -> list[str]:
        """Names of the global numbers that come with each sample."""
        return [name for flux in self.global_fluxes for name in flux.sources]

    def frame(self, name: str) -> list[int] | None:
        """The species whose mean motion is a frame of reference; none for the centre of mass, None for no motion."""
        return {"barycentric": [], "host": list(self.host_species), "laboratory": None}[name]

    def species_of(self, kind: int) -> str:
        """Name of the species that LAMMPS type ``kind`` belongs to."""
        return self.species[self.species_of_type[kind]]

    def path_centres(self, names: Sequence[str]) -> list[int]:
        """Indices of species of electronic centres. ConfigError where one is none."""
        for name in names:
            if name not in self.species:
                allowed = ", ".join(self.species)
                raise ConfigError(f"key 'path.centres': '{name}' is not a species (there are: {allowed})")
        return [self.species.index(name) for name in names]

    # ---- charges and fluxes -----------------------------------------------------------------------------------------

    @property
    def assigned(self) -> list[str]:
        """Representations whose charges are summed up atom by atom, ``atomic`` first where there is ``q``."""
        summed = [one.name for one in self.charges if one.kind == "weight" or one.source]
        return ["atomic"] * self.host.has_charge + summed

    @property
    def flux_names(self) -> list[str]:
        """Of the basis fluxes."""
        own = self.assigned + [one.name for one in self.charges if one.kind == "tensor"]
        return basis_names(self.species, own, self.global_fluxes)

    # ---- packed rows: tag, position, velocity, q, force, per-atom values --------------------------------------------

    @property
    def atom_sources(self) -> tuple[AtomSource, ...]:
        """Per-atom numbers that are packed behind everything else, in this order."""
        return find_atom_sources(self.charges)

    @property
    def width(self) -> int:
        """Columns of packed rows."""
        width = 4 + 3 * self.host.has_velocity + self.host.has_charge + 3 * (self.force is not None)
        return width + sum(one.columns for one in self.atom_sources)

    @property
    def charge_columns(self) -> dict[str, slice]:
        """Where packed rows have the charges that come with the samples, by representation."""
        place = 4 + 3 * self.host.has_velocity
        found = {"atomic": slice(place, place + 1)} if self.host.has_charge else {}
        place += self.host.has_charge + 3 * (self.force is not None)
        for one in self.charges:
            if one.source:
                found[one.name] = slice(place, place + one.columns)
                place += one.columns
        return found


def make_plan(config: Config, host: Host, comm: Communicator, notices: list[str]) -> Plan:
    """Put configuration and run together. Collective; ``notices`` gets lines for the log.

    Raises
    ------
    ConfigError
        A species, charge or quantity that the run does not have.
    """
    units = unit_style(host.units)
    species, species_of_type = find_species(config, host, comm)
    charges = find_representations(config, host, species, species_of_type, present_types(host, comm), notices)
    representations = tuple(one.name for one in charges)
    host_species = checked_host(config, species)
    pairs = find_pairs(config, host, species)
    wanted = find_wanted(config, representations, species)
    return Plan(
        config=config,
        host=host,
        units=units,
        species=tuple(species),
        species_of_type=species_of_type,
        oxidation=find_oxidation(config),
        charges=charges,
        host_species=tuple(host_species),
        pairs=pairs,
        global_fluxes=find_global_fluxes(config),
        wanted=wanted,
        thermo=find_thermo(config, representations, species, wanted),
    )
