"""Topological charges of closed paths that exist already: files of frames, and results files measured with ``path``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

from .config import Config, DrivenPath, load_config
from .errors import EstimateError
from .estimate.path_charges import constant_charges, oxidation_states, path_charges
from .estimate.recorded_path import recorded_path
from .hosts.path_file import read_path
from .store import read_results
from .topology.loop import Loop, analyse_loop
from .topology.path import Array
from .units import unit_style

_SUFFIX = ".topo.h5"


def loop_of_file(
    file: str | FilePath,
    *,
    config: str | FilePath | Config | None = None,
    charges: Mapping[str, float] | None = None,
    centres: Mapping[str, float] | Sequence[str] = (),
    oxidation: Mapping[str, float] | None = None,
    born: str | None = None,
    tolerance: float | None = None,
) -> Loop:
    """Windings and topological charges of a closed path.

    Parameters
    ----------
    file : what ASE reads, a LAMMPS text dump (gz too), or a NAME.topo.h5 measured with the key ``path``
    config : as for ``fix topo``: ``species``, ``representations``, ``path``; that of the results file by default
    charges : of atoms by species (element symbol, else LAMMPS type), in e: a representation ``charge``
    centres : species of electronic centres, which are matched from point to point; with their charges
    oxidation : oxidation states of species, for the prediction Σ q n, on top of those of the configuration
    born : name of a per-atom array of nine numbers in a file that ASE reads: tensors Z*
    tolerance : how far the ends may be apart, in cube roots of the volume (0.001)

    Raises
    ------
    FileError, ConfigError, EstimateError
        A file cannot be read, charges are missing, or the path is open or too coarse. One sentence each.

    Source: Pegolo, Grasselli, Baroni, Phys. Rev. X 10, 041031 (2020), eq. 1-2.
    """
    file = FilePath(file)
    given = dict(centres) if isinstance(centres, Mapping) else {}
    results = read_results(file) if file.name.endswith(_SUFFIX) else None
    if isinstance(config, Config):
        settings = config
    elif config is None and results is not None:
        settings = results.config
    else:
        settings = load_config(config)
    section = settings.path or DrivenPath()
    chosen = tuple(dict.fromkeys((*section.centres, *centres)))
    if results is not None:
        if results.record.path is None:
            raise EstimateError(f"'{file}' holds no path: measure it with the key 'path'")
        path, types, streamed = recorded_path(results.record, chosen)
        kinds: Sequence[int | str] = types
        tensors, style = None, results.record.units
    else:
        names = None if settings.species is None else {
            kind: name for name, one in settings.species.items() for kind in one.type
        }  # fmt: skip
        found = read_path(file, species=names, centres=chosen, tensors=born)
        path, tensors = found.path, found.tensors
        style = settings.trajectory.units or found.units or "metal"
        streamed = {} if found.charges is None else {"atomic": found.charges}
        kinds = found.elements or found.types.tolist()
    unit = unit_style(style).elementary
    representations: dict[str, Array] = {}
    if charges or given:
        representations["charge"] = constant_charges(path, {**(charges or {}), **given}, "--charge and --centre")
    if tensors is not None:
        representations["born"] = tensors
    if not representations or settings.representations:
        representations |= path_charges(path, settings, kinds=kinds, given=streamed, unit=unit)
    states = {**oxidation_states(settings, unit), **(oxidation or {})}
    return analyse_loop(path, representations, states, tolerance=section.tolerance if tolerance is None else tolerance)
