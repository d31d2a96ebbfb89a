"""The path that a measurement with the key ``path`` has gathered."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import Config, DrivenPath
from ..errors import ConfigError, EstimateError
from ..record import Record
from ..topology.loop import Loop, analyse_loop
from ..topology.path import Array, Path
from ..units import unit_style
from .path_charges import oxidation_states, path_charges


def recorded_path(record: Record, centres: Sequence[str]) -> tuple[Path, list[int], dict[str, Array]]:
    """The path of a record, the LAMMPS types (n,) of its particles, and charges that came with its points by
    representation: numbers (K, n) or tensors (K, n, 3, 3).

    Raises
    ------
    EstimateError
        The record has no path, or one that is too short.
    """
    found = record.path
    if found is None:
        raise EstimateError("no path was measured (key 'path')")
    path = Path(
        species=tuple(record.species[index] for index in found.species),
        tags=found.tags,
        cell=found.cell,
        positions=found.positions,
        names=tuple(f"point {place}" for place in range(len(found.positions))),
        centres=tuple(centres),
        continuous=True,
    )
    charges = {
        name: values if values.ndim == 2 else values.reshape(*values.shape[:2], 3, 3)
        for name, values in zip(found.charge_names, found.charges, strict=True)
    }
    return path, found.types.tolist(), charges


def recorded_loop(record: Record, config: Config) -> Loop:
    """Topological charges of the path of a record. Raises EstimateError: it is open, or its charges are not known."""
    section, unit = config.path or DrivenPath(), unit_style(record.units).elementary
    path, types, charges = recorded_path(record, section.centres)
    try:
        found = path_charges(path, config, kinds=types, given=charges, unit=unit)
    except ConfigError as error:
        raise EstimateError(str(error)) from None
    return analyse_loop(path, found, oxidation_states(config, unit), tolerance=section.tolerance)
