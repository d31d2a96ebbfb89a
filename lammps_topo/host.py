"""What a host (one of the doors) knows of its run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .stream.block import Integers


@dataclass(frozen=True)
class Host:
    """What is known of a run before the first sample.

    Attributes
    ----------
    units, timestep, every : of the run; every is 1 where samples are frames of a file
    types : LAMMPS types of this rank's atoms of the group
    has_charge, has_velocity, has_force, has_molecules : whether atoms have them
    name : what names the results file when the configuration does not
    provenance : said in the results file: LAMMPS version, input script, door, …
    labels : names of types, where the run has them
    pressure_volume : pressure times volume in an energy, in the units of the run (LAMMPS's ``nktv2p``)
    """

    units: str
    timestep: float
    every: int
    types: Integers
    has_charge: bool
    has_velocity: bool
    name: str
    provenance: dict[str, Any] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    has_force: bool = False
    has_molecules: bool = False
    pressure_volume: float = 1.0
