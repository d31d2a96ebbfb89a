"""Which generation of the state a run continues from, and whether it may.

A LAMMPS restart file names a generation. Where there is none (python/invoke, write_data), it is the newest one whose
last sample is the run's present one or the one before its next, written by another process than this, with more than
one sample. In either case the atoms must be those of the state, and be where they were; otherwise the run begins a new
measurement and says why. What the state was gathered with must not have changed: that is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .checkpoint import OWNED, Part, Reader
from .config import Config
from .errors import ConfigError, FileError
from .generations import generations
from .soundness import contradiction
from .state_file import StateFile
from .stream.block import Array, Integers
from .stream.communicator import Communicator, agree

#: Keys that may change: what the samples are made of later, or where and how often something is written.
FREE_KEYS = (
    "output", "block", "threads", "thermo", "temperature", "volume", "checkpoint", "checkpoint_steps", "state",
    "generations", "restart", "on_sigterm", "on_error", "stop", "spectral", "cepstral", "einstein", "gauge",
    "msd.window", "species.*.carrier",
    "correlations.memory", "correlations.work", "correlations.prony",
)  # fmt: skip
_LONGEST = 200
_SAME_PLACE = 1e-6
_SAME_MOTION = 1e-9


#: What fits into a LAMMPS restart file.
_Id = Annotated[str, Field(pattern="^[0-9a-f]{1,39}$")]
_Count = Annotated[int, Field(ge=0, lt=1 << 62)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Header(BaseModel):
    """What a state says of itself.

    ``step`` is that of the last sample, ``kind`` why it was written (``restart``, ``run``, ``steps``, ``clock``),
    ``facts`` what the measurement found in the run, ``motion`` Σ m v² and Σ m v / M at the last sample, ``replay``
    whether the samples came from a file, ``history`` from where and when it was continued before.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: _Id
    measurement: _Id
    process: str
    kind: Annotated[str, Field(pattern="^[a-z]{1,20}$")]
    step: _Count
    samples: _Count
    ranks: _Count
    block: Annotated[int, Field(ge=1, le=65536)]
    facts: dict[str, Any]
    config: dict[str, Any]
    motion: tuple[_Finite, _Finite, _Finite, _Finite]
    degrees_of_freedom: _Finite
    volume: _Finite
    replay: bool = False
    followed: list[_Count] | None = None
    history: list[dict[str, Any]] = []
    written: str = ""
    lammps_topo: str = ""


@dataclass(frozen=True)
class Named:
    """What a LAMMPS restart file says: the step it was written at, and the generation (empty if there was none).

    ``edited`` means that the system was changed between the last sample and the writing.
    """

    step: int
    generation: str
    measurement: str
    edited: bool = False


@dataclass(frozen=True)
class Start:
    """The run at the moment when it may continue.

    Attributes
    ----------
    now, first : its step, and the step of the first sample to come (now, if that is one)
    positions : (n, 3) unwrapped, of the atoms in the order of the tags given with it
    sums : (7,) of the whole system, over all ranks: see :data:`~lammps_topo.stream.block.SUMS`
    named : from the restart file
    replay : frames come from the beginning, and those that are known are passed over
    """

    now: int
    first: int
    positions: Array
    sums: Array
    named: Named | None = None
    replay: bool = False


@dataclass(frozen=True)
class Present:
    """What this run is: compared with a state.

    Attributes
    ----------
    config, facts : of the measurement
    every, timestep, mass : of the run
    species, masses, positions : (n,), (n,), (3, n) of the atoms owned
    tags : (n,)
    """

    config: Config
    facts: Mapping[str, Any]
    every: int
    timestep: float
    mass: float
    tags: Integers
    species: Integers
    masses: Array
    positions: Array


@dataclass(frozen=True)
class Found:
    """A state to continue from; ``new_stretch`` if the next sample does not follow its last one."""

    path: Path
    header: Header
    reader: Reader
    new_stretch: bool
    file: StateFile | None

    def restore(self, parts: Mapping[str, Part], tags: Mapping[str, Integers]) -> None:
        """Give all objects back their memory; collective.

        Raises
        ------
        FileError
            The state does not have it, or contradicts itself.
        """
        parts = {name: part for name, part in parts.items() if name != "system"}
        self.reader.restore(parts, tags)
        header = self.header
        states = {name: part.state(part.item) for name, part in parts.items() if part.item is not None}
        if problem := agree(self.reader.comm, contradiction(header.samples, header.step, states)):
            raise FileError(f"the state '{self.path}' of {header.samples} samples contradicts itself: {problem}")

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def find_state(
    comm: Communicator, results: Path, start: Start, present: Present, process: str, notices: list[str]
) -> Found | None:
    """The state that the run continues from, or None. Collective.

    ``process`` names this process, whose own states are continued only by name; ``notices`` gets lines for the log (on
    rank 0).

    Raises
    ------
    ConfigError
        The configuration or the run changed what may not change, or the key ``restart`` requires a state.
    """
    policy = present.config.restart
    if policy == "never":
        if start.named is not None:
            notices.append("the run is a restart, but 'restart' is 'never': a new measurement begins")
        return None
    reasons: list[str] = []
    for path, header in comm.share(_candidates(results, start, present, process, reasons) if comm.rank == 0 else None):
        try:
            found = _open(comm, path, header, start, present, reasons)
        except _Discontinuous as problem:
            reasons.append(str(problem))
            if start.named is not None or start.replay:  # nothing older can be any better
                break
            continue
        if found is not None:
            notices.extend(reasons)
            return found
    reasons = comm.share(reasons)
    why = "; ".join(reasons) or f"there is no state of '{results}'"
    if policy == "require":
        raise ConfigError(f"key 'restart' is 'require', but no state fits this run: {why}")
    if start.named is not None or reasons:
        notices.append(f"{why}: a new measurement begins")
    return None


def _candidates(
    results: Path, start: Start, present: Present, process: str, reasons: list[str]
) -> list[tuple[Path, Header]]:
    """The generations that may fit, the best first; why others do not."""
    known: list[tuple[Path, Header]] = []
    with suppress(OSError):
        for path in generations(results):
            try:
                with StateFile(path) as state:
                    known.append((path, Header.model_validate(state.header)))
            except FileError as error:
                reasons.append(str(error))
            except ValidationError:
                reasons.append(f"the state '{path}' is damaged: its header is not complete")
    named, last = start.named, start.first - present.every
    known = [(path, header) for path, header in known if header.replay == start.replay]
    if start.replay:
        return [(path, header) for path, header in known if header.step >= start.first]
    if named is None:
        # one sample is nothing to lose, and every run that begins with the same atoms has it
        others = [item for item in known if item[1].process != process and item[1].samples > 1]
        fitting = [(path, header) for path, header in others if header.step in (start.first, last)]
        if others and not fitting:
            steps = ", ".join(str(header.step) for _, header in others)
            reasons.append(f"the states of '{results}' end at step {steps}, the run begins at step {start.now}")
        return fitting
    if named.step != start.now:
        reasons.append(
            f"the restart file was written at step {named.step}, but the run begins at step {start.now} "
            "(reset_timestep, or steps that were not measured)"
        )
        return []
    if not named.generation:
        reasons.append("the restart file was written without a state of the measurement")
        return []
    if not any(header.id == named.generation for _, header in known):
        reasons.append(
            f"the state that the restart file of step {named.step} names is not there (the last "
            f"{present.config.generations} are kept: key 'generations')"
        )
    older = [item for item in known if item[1].measurement == named.measurement and item[1].step <= start.first]
    return sorted(older, key=lambda item: (item[1].id != named.generation, -item[1].step))


def _open(
    comm: Communicator, path: Path, header: Header, start: Start, present: Present, reasons: list[str]
) -> Found | None:
    """The state, if it is whole, of these atoms, and of what is measured now."""
    state, problem = None, None
    if comm.rank == 0:
        try:
            state = StateFile(path)
            state.verify()
        except FileError as error:
            problem = str(error)
    if problem := comm.share(problem):
        reasons.append(problem)
        if state is not None:
            state.close()
        return None
    try:
        reader = _checked(comm, state, header, start, present, path)
    except BaseException:
        if state is not None:
            state.close()
        raise
    named = start.named
    exact = named is not None and header.id == named.generation
    gap = not start.replay and header.step not in (start.first, start.first - present.every)
    if gap and not exact:
        reasons.append(f"samples after step {header.step} are missing: the measurement continues with a new stretch")
    edited = exact and named is not None and named.edited
    return Found(path, header, reader, gap or edited or _moves_otherwise(header, start, present.mass), state)


def _checked(
    comm: Communicator, state: StateFile | None, header: Header, start: Start, present: Present, path: Path
) -> Reader:
    """A reader of the state, if it is of these atoms and of what is measured now."""
    difference = next(_differences(header, present), None)
    try:
        reader = Reader(comm, state, {OWNED: present.tags})
        problem = _discontinuity(comm, reader, header, start, present)
    except (LookupError, ValueError) as error:
        raise _Discontinuous(f"the state '{path}' does not say which atoms it is of ({error})") from None
    except FileError as error:
        # which atoms there are may be what differs
        problem = None if start.named is not None and difference else str(error)
    if problem:
        raise _Discontinuous(problem)
    atoms = present.facts["atoms"]
    if header.followed is not None and not _at_most(header.followed, atoms):
        raise _Discontinuous(f"the state '{path}' follows other atoms than there are")
    if difference:
        raise ConfigError(
            f"{difference} in the measurement that this run continues ('{path}', step {header.step}): give it the "
            "same, or begin a new measurement with 'restart never'"
        )
    return reader


class _Discontinuous(Exception):
    """The run is not the one that the state was taken from."""


def _discontinuity(comm: Communicator, reader: Reader, header: Header, start: Start, present: Present) -> str | None:
    """Why the atoms are not those of the state, or not where they would be."""
    system = reader.snapshot("system", Part(None))
    now = {"species": present.species, "mass": present.masses, "position": present.positions}
    same = all(system[name].shape == own.shape and system[name].dtype == own.dtype for name, own in now.items())
    if not all(comm.collect(same)):
        return f"the state of step {header.step} does not say what its atoms are"
    alike = (system["species"] == present.species).all()
    alike = alike and np.allclose(system["mass"], present.masses, rtol=1e-9, atol=0.0)
    if not all(comm.collect(bool(alike))):
        return f"the atoms of the state of step {header.step} have other types or masses (reset_atoms id?)"
    named, steps = start.named, start.now - header.step
    unseen = named is not None and (named.edited or header.id != named.generation)
    if start.replay or unseen:
        return None
    return displaced(comm, system["position"], present, header, start.sums[0], steps)


def displaced(
    comm: Communicator, before: Array, present: Present, header: Header, kinetic: float, steps: int
) -> str | None:
    """Why positions (3, n) are not those of the state, or what they become within ``steps``. Collective."""
    moved = ((present.positions - before) ** 2).sum(axis=0)
    atoms = max(int(np.sum(present.facts["atoms"])), 1)
    spacing = (header.volume / atoms) ** (1 / 3) if header.volume > 0 else 1.0
    if steps == 0:
        far = max(comm.collect(float(np.sqrt(moved.max(initial=0.0)))))
        allowed = _SAME_PLACE * spacing
    else:
        far = float(np.sqrt(comm.sum(np.array([moved.sum()]))[0] / atoms))
        speed = np.sqrt(max(kinetic, header.motion[0]) / present.mass)
        allowed = max(0.25 * spacing, 3.0 * speed * abs(steps) * present.timestep)
    if far <= allowed:
        return None
    return (
        f"atoms are up to {far:.3g} away from where the state of step {header.step} has them "
        "(another run's state, an edit, or reset_atoms id)"
    )


def _moves_otherwise(header: Header, start: Start, mass: float) -> bool:
    """Whether velocities were changed since the last sample, if that is the present."""
    if start.replay or start.now != header.step:
        return False
    kinetic, drift = header.motion[0], np.array(header.motion[1:])
    other = abs(start.sums[0] - kinetic) > _SAME_MOTION * kinetic
    speed = np.sqrt(kinetic / mass)
    return bool(other or np.abs(start.sums[1:4] / mass - drift).max() > _SAME_MOTION * speed)


def holds_only(results: Path, header: Header) -> bool:
    """Whether a results file has nothing that the state has not: it is of the same measurement, and not later."""
    try:
        with h5py.File(results, "r") as file:
            provenance = json.loads(file["provenance"][()])
            last = int(file["record"].attrs["last_step"])
            samples = int(file["record"].attrs["samples"])
    except (OSError, LookupError, ValueError, TypeError, AttributeError):
        return False
    of = provenance.get("measurement") if isinstance(provenance, dict) else None
    return of == header.measurement and last <= header.step and samples <= header.samples


# ---- what may not change --------------------------------------------------------------------------------------------


def _differences(header: Header, present: Present) -> Iterator[str]:
    """Sentences that begin: key … is …, but …"""
    for name, value in present.facts.items():
        old = header.facts.get(name)
        same = _alike(value, old)
        if not same:
            yield f"{name} is {_shown(value)}, but {_shown(old)}"
    try:
        then = _flat(Config.model_validate(header.config).model_dump(mode="json"))
    except ValidationError:
        yield "the configuration is not understood, but was another"
        return
    now = _flat(present.config.model_dump(mode="json"))
    for key in dict.fromkeys((*now, *then)):
        free = any(fnmatchcase(key, name) or key.startswith(f"{name}.") for name in FREE_KEYS)
        if not free and now.get(key) != then.get(key):
            yield f"key '{key}' is {_shown(now.get(key))}, but {_shown(then.get(key))}"


def _at_most(numbers: list[int], most: list[int]) -> bool:
    return len(numbers) == len(most) and all(one <= other for one, other in zip(numbers, most, strict=True))


def _alike(value: Any, old: Any) -> bool:
    if isinstance(value, float) and isinstance(old, float):
        return bool(np.isclose(value, old, rtol=1e-9, atol=0.0))
    return bool(value == old)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_shown, value[:_LONGEST])) + "]"
    text = "not given" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST])  # it may be anybody's


def _flat(data: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        found.update(_flat(value, f"{head}{key}.") if isinstance(value, dict) else {f"{head}{key}": value})
    return found
