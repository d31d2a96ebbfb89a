"""The section ``representations``: charge representations by name, and how each of them is defined."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from .config_values import Finite, FluxName, Section, text_keys

#: Representations that need no definition: by species, LAMMPS's ``q``, and molecules that move as a whole.
SHORT_NAMES = ("oxidation", "atomic", "molecular")
#: With so many representations and the differences of all pairs of them.
MOST_REPRESENTATIONS = 8
#: Kinds of basis fluxes, after which no representation can be named.
_TAKEN = ("number", "energy", "stress", "flux")
#: Per-atom values of LAMMPS: one an atom, or nine.
_ATOM_NUMBER = re.compile(r"d_\w+|[cf]_\w+(\[[1-9]\d{0,3}\])?", re.ASCII)
_ATOM_TENSOR = re.compile(r"(d2|c|f)_\w+", re.ASCII)


def _atom_number(value: Any) -> Any:
    if value is None or (isinstance(value, str) and _ATOM_NUMBER.fullmatch(value)):
        return value
    raise ValueError("a number an atom (d_NAME, c_ID, c_ID[i], f_ID or f_ID[i]) is needed")


def _by_type(value: Any) -> Any:
    """Types are numbers, also where they were keys of JSON, or element symbols."""
    if value is None or (isinstance(value, dict) and value):
        return value and {int(k) if isinstance(k, str) and k.isdecimal() else k: one for k, one in value.items()}
    raise ValueError("weights by type are needed, as in {1: 1.0, 2: -2.0}")


def _tensors(value: Any) -> Any:
    """A source, or by species a tensor, for which a number is enough where it is isotropic."""
    if isinstance(value, dict):
        return {str(species): _tensor(str(species), tensor) for species, tensor in value.items()}
    if value is None or (isinstance(value, str) and _ATOM_TENSOR.fullmatch(value)):
        return value
    raise ValueError(
        "nine numbers an atom (d2_NAME, c_ID or f_ID) or tensors by species, {Mg: [[2, 0, 0], [0, 2, 0], [0, 0, 2]], "
        "O: -2}, are needed"
    )


def _tensor(species: str, value: Any) -> tuple[tuple[float, ...], ...]:
    rows = [[value, 0, 0], [0, value, 0], [0, 0, value]] if isinstance(value, (int, float)) else value
    if (
        isinstance(rows, (list, tuple))
        and [len(row) if isinstance(row, (list, tuple)) else 0 for row in rows] == [3] * 3
    ):
        numbers = [number for row in rows for number in row]
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) and math.isfinite(one) for one in numbers):
            return tuple(tuple(float(number) for number in row) for row in rows)
    raise ValueError(f"the tensor of '{species}' must be a number or three rows of three numbers")


class Charges(Section):
    """A charge representation: how much charge moves with an atom. Exactly one of these is given.

    ``oxidation`` (numbers by species), ``charge`` (a number an atom of LAMMPS), ``born`` (nine numbers an atom, row by
    row, the row being the direction of the current; or a constant tensor by species), ``carriers`` (weights by type),
    ``molecular`` (each molecule moves its net charge with its centre of mass; the charges it is the sum of).
    """

    oxidation: Annotated[dict[str, Finite] | None, BeforeValidator(text_keys)] = None
    charge: Annotated[str | None, BeforeValidator(_atom_number)] = None
    born: Annotated[str | dict[str, tuple[tuple[float, ...], ...]] | None, BeforeValidator(_tensors)] = None
    carriers: Annotated[dict[int | str, Finite] | None, BeforeValidator(_by_type)] = None
    molecular: Literal["atomic", "oxidation"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Charges:
        if len(self.given) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"one of {kinds} is needed, not {' and '.join(self.given) or 'none'}")
        return self

    @property
    def given(self) -> list[str]:
        """The kinds that are given: one."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


def named_representations(value: Any) -> Any:
    """Names alone need no definition."""
    if value is None or isinstance(value, dict):
        return text_keys(value)
    names = value if isinstance(value, (list, tuple)) else [value]
    if all(isinstance(name, str) for name in names):
        return dict.fromkeys(names)
    raise ValueError("a list of names, or a mapping from names to definitions, is needed")


Representations = Annotated[dict[FluxName, Charges | None] | None, BeforeValidator(named_representations)]


def check_names(representations: Mapping[str, Charges | None]) -> None:
    """ValueError where a name says one thing and its definition another, or where there are too many."""
    short = ", ".join(SHORT_NAMES)
    for name, definition in representations.items():
        if definition is None and name not in SHORT_NAMES:
            raise ValueError(f"the representation '{name}' needs a definition; without one there are {short}")
        if definition is not None and name in SHORT_NAMES:
            raise ValueError(f"the representation '{name}' takes no definition; give yours another name")
        if name in _TAKEN:
            raise ValueError(f"a representation cannot be named '{name}' (nor {', '.join(_TAKEN)})")
    if len(representations) > MOST_REPRESENTATIONS:
        raise ValueError(
            f"there are {len(representations)} representations, but at most {MOST_REPRESENTATIONS} are allowed"
        )
