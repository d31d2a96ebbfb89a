"""The configuration: a YAML file, ``keyword value`` words of the ``fix`` line on top of it, defaults for the rest.

Numbers are in the unit style of the run, as everything in a LAMMPS input script (a frequency is 1/time: THz for
``metal``). Validation is pydantic's; every refusal becomes one sentence that names the key, the value and what is
allowed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from .config_representations import Charges, Representations, check_names, named_representations
from .config_values import (
    Finite,
    FluxName,
    FluxSources,
    Positive,
    Section,
    StressSources,
    as_list,
    as_names,
    named_energy,
    switch,
    text_keys,
    text_keys_or_none,
)
from .errors import ConfigError

Frame = Literal["barycentric", "host", "laboratory"]
_LONGEST_SEGMENT = 1 << 24
#: Of a correlation function: its sums by time batch take 0.5 KiB a lag, pair and species.
MOST_LAGS = 1 << 16
#: The earlier factor first: ``vf`` is ⟨v(0)·F(t)⟩.
Pair = Literal["vv", "ff", "vf", "fv"]


class Species(Section):
    """Atoms that are alike: their LAMMPS types (or element symbols, in a trajectory), and the charge they carry.

    ``carrier`` says that they are no ions, but lone pairs or other charges: the conductivity is split into both.
    """

    type: Annotated[list[Annotated[int, Field(ge=1)] | str], BeforeValidator(as_list), Field(min_length=1)]
    oxidation: Finite | None = None
    carrier: bool = False


class Segments(Section):
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


class Displacements(Section):
    """Mean square displacements: ``lags`` linear lags a level, an origin every ``every`` samples, coarser levels
    that take every ``stride``-th sample, and the frames positions are measured in."""

    lags: Annotated[int, Field(ge=2)] = 256
    every: Annotated[int, Field(ge=1)] = 4
    levels: Annotated[int, Field(ge=1, le=6)] = 3
    stride: Annotated[int, Field(ge=2)] = 16
    frames: Annotated[list[Frame], BeforeValidator(as_list), Field(min_length=1)] = Field(default=["barycentric"])
    window: tuple[Annotated[float, Field(ge=0)], Positive] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Displacements:
        if self.lags % self.every:
            raise ValueError(f"lags ({self.lags}) must be a multiple of every ({self.every})")
        if len(set(self.frames)) < len(self.frames):
            raise ValueError(f"the frames {', '.join(self.frames)} must differ from each other")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError("the window must be [begin, end] with begin < end")
        return self


class Spectral(Section):
    """Spectral estimate of S(0): the highest frequency in use; several that follow from the data if absent."""

    cutoff: Positive | None = None


class Cepstral(Section):
    """Cepstral analysis: effective Nyquist frequency f* and number of coefficients P*; from the data if absent."""

    cutoff: Positive | None = None
    order: Annotated[int, Field(ge=1)] | None = None


class Einstein(Section):
    """Slopes of displacements: ``method``, where no window is given (``estimate.einstein``), for σ and D alike.

    ``window`` [begin, end] in time units is that of Einstein-Helfand; that of D is ``msd.window``.
    """

    window: tuple[Annotated[float, Field(ge=0)], Positive] | None = None
    method: Literal["gls", "plateau"] = "gls"


class Correlations(Section):
    """Velocity and force correlations of tagged particles, and the memory kernels made of them.

    ``window`` (time) or, without it, ``lags`` (samples) say how far they reach, ``every`` how many samples apart their
    origins are.
    ``force`` is ``total``, ``none``, or a per-atom vector of LAMMPS (``d2_NAME``, ``c_ID``, ``f_ID``): a part of it.
    ``atoms`` limits how many of a species are followed; without it, ``memory`` (MiB a rank) and ``work`` do.
    """

    window: Positive | None = None
    lags: Annotated[int, Field(ge=16, le=MOST_LAGS)] = 1000
    every: Annotated[int, Field(ge=1)] = 8
    pairs: Annotated[list[Pair], BeforeValidator(as_list), Field(min_length=1)] | None = None
    force: Annotated[str, Field(pattern=r"^(total|none|(d2|c|f)_\w+)$")] = "total"
    frame: Frame | None = None
    species: Annotated[list[str], BeforeValidator(as_names), Field(min_length=1)] | None = None
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


class Precision(Section):
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


class Stop(Section):
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


class DrivenPath(Section):
    """Samples are points of a path (``lammps_topo.topology``), whose topological charges are wanted; nothing else is.

    ``centres`` are the species of electronic centres, which may change places along a loop; ``tolerance`` says how far
    its ends may be apart, in cube roots of the volume.
    """

    centres: Annotated[list[str], BeforeValidator(as_names)] = Field(default=[])
    tolerance: Annotated[float, Field(gt=0, le=0.1)] = 1e-3


class Gauge(Section):
    """Do representations conduct alike? ``level`` is the confidence of all verdicts together, ``tolerance`` the share
    of the conductivity that may be different in what is called equivalent."""

    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    level: Annotated[float, Field(ge=0.8, lt=1)] = 0.95


class Trajectory(Section):
    """What a trajectory file does not say by itself (``lammps-topo analyze`` only)."""

    units: str | None = None
    timestep: Positive | None = None
    masses: Annotated[dict[str, Positive], BeforeValidator(text_keys)] = Field(default={})
    degrees_of_freedom: Positive | None = None


class Config(Section):
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
    species: Annotated[dict[str, Species] | None, BeforeValidator(text_keys)] = None
    representations: Representations = None
    frame: Frame = "barycentric"
    host: Annotated[list[str], BeforeValidator(as_names)] | None = None
    block: Annotated[int, Field(ge=1, le=65536)] | None = None
    series: bool = True
    segments: Segments = Segments()
    msd: Displacements = Displacements()
    correlations: Annotated[Correlations | None, BeforeValidator(switch)] = None
    heat: Annotated[dict[FluxName, FluxSources] | None, BeforeValidator(named_energy)] = None
    stress: StressSources = None
    path: Annotated[DrivenPath | None, BeforeValidator(switch)] = None
    fluxes: Annotated[dict[FluxName, FluxSources] | None, BeforeValidator(text_keys)] = None
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
    stop: Annotated[Stop | None, BeforeValidator(text_keys_or_none)] = None
    threads: Annotated[int, Field(ge=1)] = 1
    thermo: Annotated[list[str], BeforeValidator(as_list)] | None = None
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
        check_names(self.representations or {})
        if self.path is not None and self.restart == "require":
            raise ValueError("a path is measured in one go: 'restart' cannot be 'require' with the key 'path'")
        if self.representations is not None and "oxidation" in self.representations:
            missing = [name for name, species in (self.species or {}).items() if species.oxidation is None]
            if missing or not self.species:
                what = f"species '{missing[0]}' has none" if missing else "no species is given"
                raise ValueError(f"the representation 'oxidation' needs a charge 'oxidation' for every species; {what}")
        return self


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
        inner = named_representations(inner)
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
