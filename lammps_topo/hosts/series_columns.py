"""Which columns of a series are meant: vectors by name, single columns by name or number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from .series_file import SeriesFile

#: How LAMMPS and its users name the components of a vector and of a symmetric tensor, in the order xx yy zz xy xz yz.
_VECTOR = (("[1]", "[2]", "[3]"), ("1", "2", "3"), ("x", "y", "z"), ("_x", "_y", "_z"))
_TENSOR = (
    tuple(f"[{k}]" for k in range(1, 7)), tuple(str(k) for k in range(1, 7)),
    ("xx", "yy", "zz", "xy", "xz", "yz"), ("_xx", "_yy", "_zz", "_xy", "_xz", "_yz"),
    ("xy", "xz", "yz"), ("_xy", "_xz", "_yz"),
)  # fmt: skip


@dataclass(frozen=True)
class Flux:
    """A flux: what it is called, and the columns of its equivalent (Cartesian) components, from 0."""

    name: str
    columns: tuple[int, ...]


def choose_fluxes(file: SeriesFile, text: str, *, tensor: bool = False) -> list[Flux]:
    """The fluxes that ``text`` names, in its order.

    Parameters
    ----------
    text : items with commas between them: the name of a vector (``c_flux``, or ``flux``, for ``c_flux[1]`` to
        ``c_flux[3]``; ``J`` for ``Jx``, ``Jy``, ``Jz``), the name of a column, a number (from 1) or a range of them
        (``2-4``). Single columns are components, three to a flux; one or two alone are a flux, too
    tensor : all items are components of one flux; the name of a tensor stands for its six components

    Raises
    ------
    ConfigError
        A column is not there, or the columns do not make whole fluxes.
    """
    fluxes: list[Flux] = []
    single: list[int] = []
    items = [item.strip() for item in re.split(r",(?![^\[]*\])", text)]
    for item in items:
        named = _vector(file, item, _TENSOR if tensor else _VECTOR)
        if named is None:
            single += _columns(file, item)
        else:
            fluxes += _in_threes(file, single, text)
            single = []
            fluxes.append(named)
    if tensor:
        together = [*(column for flux in fluxes for column in flux.columns), *single]
        return [Flux(text if fluxes else ", ".join(map(file.name, together)), tuple(together))]
    if not fluxes and len(single) in (1, 2):
        return [Flux(", ".join(map(file.name, single)), tuple(single))]
    return fluxes + _in_threes(file, single, text)


def _vector(file: SeriesFile, item: str, endings: Sequence[tuple[str, ...]]) -> Flux | None:
    """The columns ``item[1]``, ``item[2]``, …; None if there are none, or ``item`` is a column itself."""
    stem = item.removesuffix("[*]")
    for change in (str, str.lower):
        names = [change(name) for name in file.names]
        for prefix in ("", "c_", "f_", "v_"):
            if change(prefix + item) in names:
                return None
            for ending in endings:
                wanted = [change(prefix + stem + end) for end in ending]
                if all(name in names for name in wanted):
                    found = tuple(names.index(name) for name in wanted)
                    return Flux(file.name(found[0])[: len(prefix + stem)], found)
    return None


def _columns(file: SeriesFile, item: str) -> list[int]:
    numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", item)
    if numbers:
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if not 1 <= first <= last <= file.width:
            raise ConfigError(
                f"--columns: '{file.path}' has {file.width} columns, counted from 1: there is no '{item}'"
            )
        return list(range(first - 1, last))
    found = file.find(*(prefix + item.lower() for prefix in ("", "c_", "f_", "v_")))
    if found is None:
        raise ConfigError(f"--columns: '{file.path}' has no column or vector '{item}' (there are: {file.there_is()})")
    return [found]


def _in_threes(file: SeriesFile, columns: list[int], text: str) -> list[Flux]:
    if len(columns) % 3:
        names = ", ".join(map(file.name, columns))
        raise ConfigError(
            f"--columns {text}: {len(columns)} single columns ({names}) do not make fluxes of three components each"
        )
    threes = [tuple(columns[k : k + 3]) for k in range(0, len(columns), 3)]
    return [Flux(_common(file, three), three) for three in threes]


def _common(file: SeriesFile, columns: tuple[int, ...]) -> str:
    """``c_flux`` for c_flux[1], c_flux[2], c_flux[3]; ``2-4``, ``a, b, c``."""
    names = [file.name(column) for column in columns]
    if file.names:
        stems = {name.rpartition("[")[0] for name in names}
        return stems.pop() if len(stems) == 1 and "" not in stems else ", ".join(names)
    return f"columns {', '.join(names)}"
