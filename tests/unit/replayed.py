"""A random trajectory with everything in it, given to measurements in blocks; and measurements compared bit by bit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lammps_topo import results_file
from lammps_topo.config import Config
from lammps_topo.measurement import Host, Measurement, Start
from lammps_topo.restart import Named
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone

__all__ = ["CONFIG", "EVERY", "Named", "Path", "Trajectory", "begin", "bits", "configuration", "different",
           "release"]  # fmt: skip

EVERY = 5
CONFIG: dict[str, Any] = {
    "species": {"A": {"type": 1, "oxidation": 1}, "B": {"type": 2, "oxidation": -1}},
    "representations": ["oxidation", "atomic"],
    "host": "B",
    "msd": {"lags": 8, "every": 4, "levels": 2, "stride": 4, "frames": ["barycentric", "host"]},
    "segments": {"shortest": 16, "number": 2},
    "correlations": {"lags": 16, "every": 4, "atoms": 4},
}


def configuration(**changes: Any) -> Config:
    return Config.model_validate({**CONFIG, **changes})


@dataclass(frozen=True)
class Trajectory:
    """Atoms of two species with gaps between their tags; (samples, atoms, …); ``gap`` is a sample after a pause."""

    samples: int
    atoms: int = 12
    seed: int = 0
    gap: int | None = None
    tags: Any = field(default=None)
    types: Any = field(default=None)
    mass: Any = field(default=None)
    x: Any = field(default=None)
    v: Any = field(default=None)
    q: Any = field(default=None)
    f: Any = field(default=None)

    def __post_init__(self) -> None:
        if self.tags is not None:
            return
        rng = np.random.default_rng(self.seed)
        shape = (self.samples, self.atoms)
        types = np.arange(self.atoms) % 2 + 1
        for name, value in {
            "tags": 3 * np.arange(1, self.atoms + 1) + (np.arange(self.atoms) > self.atoms // 2) * 40,
            "types": types,
            "mass": types * 1.5,
            "x": np.cumsum(0.05 * rng.normal(size=(*shape, 3)), axis=0) + 10 * rng.normal(size=(self.atoms, 3)),
            "v": 0.05 * rng.normal(size=(*shape, 3)),
            "q": 1.0 + 0.1 * rng.normal(size=shape),
            "f": rng.normal(size=(*shape, 3)),
        }.items():
            object.__setattr__(self, name, value)

    def step(self, sample: int) -> int:
        return EVERY * sample + (1000 if self.gap is not None and sample >= self.gap else 0)

    def local(self, comm: Any, sample: int) -> Any:
        """Atoms that are on this rank at a sample: they move about."""
        rng = np.random.default_rng(1000 * self.seed + sample)
        order = rng.permutation(len(self.tags))
        return order[rng.integers(0, comm.size, len(order)) == comm.rank]

    def packed(self, first: int, last: int, comm: Any = Alone()) -> Packed:  # noqa: B008
        rows, sums, counts = [], [], []
        for k in range(first, last):
            here = self.local(comm, k)
            rows.append(
                np.column_stack((self.tags[here], self.x[k, here], self.v[k, here], self.q[k, here], self.f[k, here]))
            )
            sums.append(self.sums(k, here))
            counts.append(len(here))
        steps = np.array([self.step(k) for k in range(first, last)])
        return Packed(steps, np.array(counts), np.concatenate(rows), np.array(sums), np.full(last - first, 1000.0))

    def sums(self, sample: int, here: Any) -> Any:
        x, v, mass = self.x[sample, here], self.v[sample, here], self.mass[here]
        return np.array([mass @ (v**2).sum(axis=1), *(mass @ v), *(mass @ x)])


def release() -> None:
    """Give the names of all measurements free, as if their processes had ended."""
    results_file._open_files.clear()


def measurement(trajectory: Trajectory, config: Config, path: Path, comm: Any, **host: Any) -> Measurement:
    release()
    known = {"units": "metal", "timestep": 0.001, "every": EVERY, "name": "a", **host}
    config = config.model_copy(update={"output": str(path)})
    return Measurement(
        config, Host(types=trajectory.types, has_charge=True, has_velocity=True, has_force=True, **known), comm
    )


def begin(
    trajectory: Trajectory,
    config: Config,
    path: Path,
    comm: Any = Alone(),  # noqa: B008
    *,
    at: int = 0,
    named: Named | None = None,
    step: int | None = None,
    **host: Any,
) -> Measurement:
    """A measurement that begins, or continues, with the system at sample ``at``."""
    found = measurement(trajectory, config, path, comm, **host)
    here = trajectory.local(comm, at)
    now = trajectory.step(at) if step is None else step
    everyone = np.arange(len(trajectory.tags))
    found.begin(
        trajectory.tags[here],
        trajectory.types[here],
        masses=trajectory.mass[here],
        total_mass=float(trajectory.mass[here].sum()),
        degrees_of_freedom=3.0 * len(everyone) - 3,
        start=Start(
            now=now, first=now, positions=trajectory.x[at, here], sums=trajectory.sums(at, everyone), named=named
        ),
    )
    return found


def bits(value: Any, name: str = "") -> dict[str, Any]:
    """Every array and number in a record, by name."""
    if dataclasses.is_dataclass(value):
        parts = {f"{name}.{item.name}": getattr(value, item.name) for item in dataclasses.fields(value)}
    elif isinstance(value, tuple):
        parts = {f"{name}.{number}": part for number, part in enumerate(value)}
    else:
        return {name: np.asarray(str(value) if isinstance(value, dict) else value)} if value is not None else {}
    return {inner: leaf for part, content in parts.items() for inner, leaf in bits(content, part).items()}


def different(one: Measurement, other: Measurement, *, record: bool = False) -> list[str]:
    """Names of what is not the same to the last bit, in the states of this rank or in the records."""
    contents = []
    for found in (one, other):
        if record:
            contents.append(bits(found.record()))
            continue
        kept = {}
        for part, described in found._parts().items():
            state = described.item.state() if described.item is not None else None
            for kind in ("shared", "share", "atoms") if state is not None else ():
                kept.update({f"{part}/{kind}/{name}": np.asarray(v) for name, v in getattr(state, kind).items()})
        contents.append(kept)
    mine, theirs = contents
    return [
        name
        for name in {**mine, **theirs}
        if name not in mine or name not in theirs or mine[name].shape != theirs[name].shape
        or mine[name].tobytes() != theirs[name].tobytes()
    ]  # fmt: skip
