"""What the values of the configuration may look like: numbers, names, and the numbers of LAMMPS that it asks for.

Words of a ``fix`` line and YAML write the same thing in several ways; each becomes one.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: Global numbers of LAMMPS: a whole vector, one number.
_VECTOR = re.compile(r"[cf]_\w+", re.ASCII)
_NUMBER = re.compile(r"[cf]_\w+(\[[1-9]\d{0,8}\])?|v_\w+", re.ASCII)


def as_list(value: Any) -> Any:
    """A value alone as a list of one."""
    return value if isinstance(value, (list, tuple)) else [value]


def as_names(value: Any) -> Any:
    """A list of names; those of LAMMPS types are numbers in YAML."""
    return [str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in as_list(value)]


def text_keys(value: Any) -> Any:
    """A mapping with its keys, which YAML may take for numbers, as text."""
    return {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else value


def text_keys_or_none(value: Any) -> Any:
    """The same, and ``false`` for nothing."""
    return None if value is False else text_keys(value)


def switch(value: Any) -> Any:
    """``true`` for a section with its defaults, ``false`` for none."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


def _sources(value: Any, numbers: int) -> Any:
    """A vector of LAMMPS, or ``numbers`` single ones; in a text they stand one after the other."""
    words = value.split() if isinstance(value, str) else value
    if isinstance(words, (list, tuple)) and all(isinstance(word, str) for word in words):
        whole = len(words) == 1 and _VECTOR.fullmatch(words[0])
        if whole or (len(words) == numbers and all(_NUMBER.fullmatch(word) for word in words)):
            return tuple(words)
    raise ValueError(
        f"a global vector (c_ID or f_ID), or {numbers} numbers (c_ID[i], f_ID[i], c_ID, f_ID or v_NAME), is needed"
    )


def _flux_sources(value: Any) -> Any:
    return _sources(value, 3)


def _stress_sources(value: Any) -> Any:
    return None if value is None else _sources(value, 6)


def named_energy(value: Any) -> Any:
    """One energy flux without a name is called ``energy``."""
    return text_keys(value) if value is None or isinstance(value, dict) else {"energy": value}


#: What basis fluxes may be called.
FluxName = Annotated[str, Field(pattern=r"^[\w.+-]+$")]
FluxSources = Annotated[tuple[str, ...], BeforeValidator(_flux_sources)]
StressSources = Annotated[tuple[str, ...] | None, BeforeValidator(_stress_sources)]


class Section(BaseModel):
    """Keys that belong together; no others are allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
