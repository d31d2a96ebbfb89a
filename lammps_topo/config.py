"""The configuration: a YAML file, ``keyword value`` words of the ``fix`` line on top of it, defaults for the rest.

Numbers are in the unit style of the run, as everything in a LAMMPS input script (a frequency is 1/time: THz for
``metal``). Validation is pydantic's; every refusal becomes one sentence that names the key, the value and what is
allowed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import ConfigError

Frame = Literal["barycentric", "host", "laboratory"]
#: Representations that need no definition: by species, LAMMPS's ``q``, and molecules that move as a whole.
SHORT_NAMES = ("oxidation", "atomic", "molecular")
#: With so many representations and the differences of all pairs of them.
MOST_REPRESENTATIONS = 8
_LONGEST_SEGMENT = 1 << 24
#: Of a correlation function: its sums by time batch take 0.5 KiB a lag, pair and species.
MOST_LAGS = 1 << 16
#: The earlier factor first: ``vf`` is ⟨v(0)·F(t)⟩.
Pair = Literal["vv", "ff", "vf", "fv"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: Global numbers of LAMMPS: a whole vector, one number, and names that basis fluxes may have.
_VECTOR = re.compile(r"[cf]_\w+", re.ASCII)
_NUMBER = re.compile(r"[cf]_\w+(\[[1-9]\d{0,8}\])?|v_\w+", re.ASCII)
_FLUX_NAME = r"^[\w.+-]+$"
#: Kinds of basis fluxes, after which no representation can be named.
_TAKEN = ("number", "energy", "stress", "flux")
#: Per-atom values of LAMMPS: one an atom, or nine.
_ATOM_NUMBER = re.compile(r"d_\w+|[cf]_\w+(\[[1-9]\d{0,3}\])?", re.ASCII)
_ATOM_TENSOR = re.compile(r"(d2|c|f)_\w+", re.ASCII)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _as_names(value: Any) -> Any:
    """A list of names; those of LAMMPS types are numbers in YAML."""
    return [str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in _as_list(value)]


def _text_keys(value: Any) -> Any:
    return {str(key): inner for key, inner in value.items()} if isinstance(value, dict) else value


def _text_keys_or_none(value: Any) -> Any:
    return None if value is False else _text_keys(value)


def _switch(value: Any) -> Any:
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


def _named_energy(value: Any) -> Any:
    """One energy flux without a name is called ``energy``."""
    return _text_keys(value) if value is None or isinstance(value, dict) else {"energy": value}


def _named_representations(value: Any) -> Any:
    """Names alone need no definition."""
    if value is None or isinstance(value, dict):
        return _text_keys(value)
    names = value if isinstance(value, (list, tuple)) else [value]
    if all(isinstance(name, str) for name in names):
        return dict.fromkeys(names)
    raise ValueError("a list of names, or a mapping from names to definitions, is needed")


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


FluxName = Annotated[str, Field(pattern=_FLUX_NAME)]
FluxSources = Annotated[tuple[str, ...], BeforeValidator(_flux_sources)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Species(_Section):
    """Atoms that are alike: their LAMMPS types (or element symbols, in a trajectory), and the charge they carry.

    ``carrier`` says that they are no ions, but lone pairs or other charges: the conductivity is split into both.
    """

    type: Annotated[list[Annotated[int, Field(ge=1)] | str], BeforeValidator(_as_list), Field(min_length=1)]
    oxidation: Annotated[float, Field(allow_inf_nan=False)] | None = None
    carrier: bool = False


class Charges(_Section):
    """A charge representation: how much charge moves with an atom. Exactly one of these is given.

    ``oxidation`` (numbers by species), ``charge`` (a number an atom of LAMMPS), ``born`` (nine numbers an atom, row by
    row, the row being the direction of the current; or a constant tensor by species), ``carriers`` (weights by type),
    ``molecular`` (each molecule moves its net charge with its centre of mass; the charges it is the sum of).
    """

    oxidation: Annotated[dict[str, Finite] | None, BeforeValidator(_text_keys)] = None
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


class Segments(_Section):
    """Lengths N, 2N, 4N … (samples) of the segments whose periodograms are averaged."""

    shortest: Annotated[int, Field(ge=16)] = 1024
    number: Annotated[int, Field(ge=1, le=16)] = 4

    @field_validator("shortest")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number of samples is needed")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Segments:
        longest = self.shortest << (self.number - 1)
        if longest > _LONGEST_SEGMENT:
            raise ValueError(f"the longest segment has {longest} samples, but at most {_LONGEST_SEGMENT} are allowed")
        return self


class Displacements(_Section):
    """Mean square displacements: ``lags`` linear lags a level, an origin every ``every`` samples, coarser levels
    that take every ``stride``-th sample, and the frames positions are measured in."""

    lags: Annotated[int, Field(ge=2)] = 256
    every: Annotated[int, Field(ge=1)] = 4
    levels: Annotated[int, Field(ge=1, le=6)] = 3
    stride: Annotated[int, Field(ge=2)] = 16
    frames: Annotated[list[Frame], BeforeValidator(_as_list), Field(min_length=1)] = ["barycentric"]
    window: tuple[Annotated[float, Field(ge=0)], Positive] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Displacements:
        if self.lags % self.every:
            raise ValueError(f"lags ({self.lags}) must be a multiple of every ({self.every})")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError("the window must be [begin, end] with begin < end")
        return self


class Spectral(_Section):
    """Spectral estimate of S(0): the highest frequency in use; several that follow from the data if absent."""

    cutoff: Positive | None = None


class Cepstral(_Section):
    """Cepstral analysis: effective Nyquist frequency f* and number of coefficients P*; from the data if absent."""

    cutoff: Positive | None = None
    order: Annotated[int, Field(ge=1)] | None = None


class Einstein(_Section):
    """Slopes of displacements: ``method``, where no window is given (``estimate.einstein``), for σ and D alike.

    ``window`` [begin, end] in time units is that of Einstein-Helfand; that of D is ``msd.window``.
    """

    window: tuple[Annotated[float, Field(ge=0)], Positive] | None = None
    method: Literal["gls", "plateau"] = "gls"


class Correlations(_Section):
    """Velocity and force correlations of tagged particles, and the memory kernels made of them.

    ``window`` (time) or, without it, ``lags`` (samples) say how far they reach, ``every`` how many samples apart their
    origins are.
    ``force`` is ``total``, ``none``, or a per-atom vector of LAMMPS (``d2_NAME``, ``c_ID``, ``f_ID``): a part of it.
    ``atoms`` limits how many of a species are followed; without it, ``memory`` (MiB a rank) and ``work`` do.
    """

    window: Positive | None = None
    lags: Annotated[int, Field(ge=16, le=MOST_LAGS)] = 1000
    every: Annotated[int, Field(ge=1)] = 8
    pairs: Annotated[list[Pair], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    force: Annotated[str, Field(pattern=r"^(total|none|(d2|c|f)_\w+)$")] = "total"
    frame: Frame | None = None
    species: Annotated[list[str], BeforeValidator(_as_names), Field(min_length=1)] | None = None
    atoms: Annotated[int, Field(ge=1)] | None = None
    memory: Positive = 64.0
    work: Positive = 200.0
    precision: Literal["single", "double"] = "single"
    prony: Annotated[int, Field(ge=1, le=8)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Correlations:
        if self.force == "none" and any("f" in pair for pair in self.pairs or []):
            raise ValueError("pairs with a force 'f' need a force, but force is 'none'")
        return self


def _precision(value: Any) -> Any:
    """A mapping; ``min_time`` and ``check`` are the only other keys of the section ``stop``."""
    if isinstance(value, dict) or value is None:
        return value or {}
    raise ValueError("{relative_error: x} or {error: x} is needed (or is the name of the quantity wrong?)")


class Precision(_Section):
    """How well a quantity is wanted: its standard error over its value, or the error as results show it."""

    relative_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    error: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> Precision:
        if (self.relative_error is None) == (self.error is None):
            raise ValueError("one of relative_error and error is needed")
        return self

    def relative(self, value: float) -> float:
        """The relative error that is wanted of ``value``; infinite for 0."""
        if self.relative_error is not None:
            return self.relative_error
        assert self.error is not None
        return self.error / abs(value) if value else math.inf


class Stop(_Section):
    """Quantities by name, how well each is wanted, and from when on (``min_time``) that ends the run.

    It is looked whenever the run has become ``check`` times as long, or less often.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Annotated[Precision, BeforeValidator(_precision)]]

    min_time: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    check: Annotated[float, Field(ge=1.01, le=2)] = 1.1

    @model_validator(mode="after")
    def _some(self) -> Stop:
        if not self.wanted:
            raise ValueError("a quantity is needed, as in {conductivity: {relative_error: 0.05}}")
        return self

    @property
    def wanted(self) -> dict[str, Precision]:
        return dict(self.__pydantic_extra__ or {})


class DrivenPath(_Section):
    """Samples are points of a path (``lammps_topo.topology``), whose topological charges are wanted; nothing else is.

    ``centres`` are the species of electronic centres, which may change places along a loop; ``tolerance`` says how far
    its ends may be apart, in cube roots of the volume.
    """

    centres: Annotated[list[str], BeforeValidator(_as_names)] = []
    tolerance: Annotated[float, Field(gt=0, le=0.1)] = 1e-3


class Gauge(_Section):
    """Do representations conduct alike? ``level`` is the confidence of all verdicts together, ``tolerance`` the share
    of the conductivity that may be different in what is called equivalent."""

    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    level: Annotated[float, Field(ge=0.8, lt=1)] = 0.95


class Trajectory(_Section):
    """What a trajectory file does not say by itself (``lammps-topo analyze`` only)."""

    units: str | None = None
    timestep: Positive | None = None
    masses: Annotated[dict[str, Positive], BeforeValidator(_text_keys)] = {}
    degrees_of_freedom: Positive | None = None


class Config(_Section):
    """The whole configuration, validated; see the README for every key.

    ``checkpoint`` (minutes) and ``checkpoint_steps`` say when the state is written besides LAMMPS's own restart files
    and the end of a run, ``generations`` how many are kept; ``restart`` whether a run may (``auto``), must not
    (``never``) or must (``require``) continue from one.
    ``stop`` ends the run as soon as its quantities are known well enough.
    ``path`` takes samples for points of a path, and estimates its topological charges alone.
    ``heat`` (energy fluxes by name), ``stress`` (pressure tensor: xx yy zz xy xz yz) and ``fluxes`` (others by name)
    are global numbers that LAMMPS computes: a whole vector ``c_ID`` or ``f_ID``, or single ones.
    """

    output: str | None = None
    species: Annotated[dict[str, Species] | None, BeforeValidator(_text_keys)] = None
    representations: Annotated[dict[FluxName, Charges | None] | None, BeforeValidator(_named_representations)] = None
    frame: Frame = "barycentric"
    host: Annotated[list[str], BeforeValidator(_as_names)] | None = None
    block: Annotated[int, Field(ge=1, le=65536)] | None = None
    series: bool = True
    segments: Segments = Segments()
    msd: Displacements = Displacements()
    correlations: Annotated[Correlations | None, BeforeValidator(_switch)] = None
    heat: Annotated[dict[FluxName, FluxSources] | None, BeforeValidator(_named_energy)] = None
    stress: Annotated[tuple[str, ...] | None, BeforeValidator(_stress_sources)] = None
    path: Annotated[DrivenPath | None, BeforeValidator(_switch)] = None
    fluxes: Annotated[dict[FluxName, FluxSources] | None, BeforeValidator(_text_keys)] = None
    spectral: Spectral = Spectral()
    cepstral: Cepstral = Cepstral()
    einstein: Einstein = Einstein()
    gauge: Gauge = Gauge()
    temperature: Positive | None = None
    volume: Positive | None = None
    checkpoint: Annotated[float, Field(ge=0)] = 10.0
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    state: bool = True
    generations: Annotated[int, Field(ge=1, le=100)] = 3
    restart: Literal["auto", "never", "require"] = "auto"
    on_sigterm: Literal["stop", "checkpoint", "ignore"] = "stop"
    on_error: Literal["stop", "continue"] = "stop"
    stop: Annotated[Stop | None, BeforeValidator(_text_keys_or_none)] = None
    threads: Annotated[int, Field(ge=1)] = 1
    thermo: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    trajectory: Trajectory = Trajectory()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        types: dict[int | str, str] = {}
        for name, species in (self.species or {}).items():
            for number in species.type:
                if number in types:
                    raise ValueError(f"type {number} belongs to both species '{types[number]}' and '{name}'")
                types[number] = name
        for name in self.host or []:
            if self.species is not None and name not in self.species:
                raise ValueError(f"host '{name}' is not a species (there are: {', '.join(self.species)})")
        if self.host is None and (self.frame == "host" or "host" in self.msd.frames):
            raise ValueError("the frame 'host' needs the key 'host' with the species of the host lattice")
        if self.host is None and self.correlations is not None and self.correlations.frame == "host":
            raise ValueError(
                "correlations in the frame 'host' need the key 'host' with the species of the host lattice"
            )
        self._check_names(self.representations or {})
        if self.path is not None and self.restart == "require":
            raise ValueError("a path is measured in one go: 'restart' cannot be 'require' with the key 'path'")
        if self.representations is not None and "oxidation" in self.representations:
            missing = [name for name, species in (self.species or {}).items() if species.oxidation is None]
            if missing or not self.species:
                what = f"species '{missing[0]}' has none" if missing else "no species is given"
                raise ValueError(f"the representation 'oxidation' needs a charge 'oxidation' for every species; {what}")
        return self

    @staticmethod
    def _check_names(representations: Mapping[str, Charges | None]) -> None:
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


def load_config(
    path: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *, source: str = "the configuration"
) -> Config:
    """Read ``path`` (YAML, optional) and put ``overrides`` (dotted key → value) on top of it.

    ``source`` names the configuration in errors where there is no file.

    Raises
    ------
    ConfigError
        One sentence: file, key, value, what is allowed.
    """
    text = None if path is None else read_text(path)
    return parse_config(text, overrides, source=source if path is None else str(path))


def read_text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"the configuration file '{path}' cannot be read: {reason}") from None


def parse_config(
    text: str | None, overrides: Mapping[str, Any] | None = None, *, source: str = "configuration"
) -> Config:
    """Validate YAML ``text`` with ``overrides``; raises ConfigError as :func:`load_config`."""
    data: Any = {}
    if text is not None:
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}" if mark is not None else ""
            raise ConfigError(f"{source} is not valid YAML{where}: {getattr(error, 'problem', error)}") from None
        except (RecursionError, ValueError) as error:
            raise ConfigError(f"{source} is not valid YAML: {type(error).__name__} {error}") from None
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ConfigError(f"{source} must hold 'key: value' lines, not a {type(data).__name__}")
    for key, value in (overrides or {}).items():
        data = _override(data, key, value)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_sentence(error, source)) from None


def words_to_overrides(words: Sequence[str]) -> dict[str, Any]:
    """``keyword value`` pairs of a ``fix`` line as overrides; values are YAML scalars or flow lists."""
    if len(words) % 2:
        raise ConfigError(f"keyword '{words[-1]}' has no value (keywords come in pairs: keyword value)")
    overrides = {}
    for key, word in zip(words[::2], words[1::2], strict=True):
        try:
            overrides[key] = yaml.safe_load(word)
        except yaml.YAMLError:
            raise ConfigError(f"the value '{word}' of keyword '{key}' is not valid YAML") from None
    return overrides


def _override(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    inner = data.get(head)
    if head == "representations" and isinstance(inner, (list, str)):
        inner = _named_representations(inner)
    if rest:
        value = _override(inner if isinstance(inner, dict) else {}, rest, value)
    return {**data, head: value}


def _sentence(error: ValidationError, source: str) -> str:
    """The first problem that pydantic found, as one sentence."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_keys(path[:-1])
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{source}: unknown key '{key}'{hint} (allowed: {', '.join(allowed)})"
    reason = problem["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if not key:
        return f"{source}: {reason}"
    value = problem.get("input")
    shown = "" if isinstance(value, dict) else f" has the value {value!r}, but"
    return f"{source}: key '{key}'{shown}: {reason}".replace("but:", "but")


def _allowed_keys(path: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Config
    for place, part in enumerate(path):
        field = model.model_fields.get(part)
        if field is None:  # the name of a species, of a quantity, or of a representation
            model = Precision if model is Stop else Charges if path[place - 1] == "representations" else Species
            continue
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return list(model.model_fields)
