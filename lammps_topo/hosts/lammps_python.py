"""A LAMMPS reached through its own Python module: doors 2 and 3.

Only this, :mod:`lammps_topo.hosts.global_numbers` and :mod:`lammps_topo.hosts.atom_values` know that module's calls.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..config import load_config
from ..errors import ConfigError, TopoError
from ..interrupt import Sigterm, interrupted
from ..measurement import Host, Measurement, Start
from ..representation import AtomSource, GlobalFlux
from ..stream.block import SUMS, Array, Integers, Packed
from ..stream.communicator import Alone, Communicator, Ranks
from .atom_values import AtomValues
from .global_numbers import GlobalNumbers

_ATOM_VARIABLE = 1  # LMP_VAR_ATOM
_VECTORS = ("x", "v", "f")
_MOTION = 6  # columns x y z vx vy vz
#: Of sums over atoms, relative to their absolute values: what differs by more was edited.
_ROUNDING = 1e-9


class LammpsReader:
    """Arrays of this rank's atoms, from a ``lammps`` instance (29 Sep 2021 or newer)."""

    def __init__(self, lmp: Any, group: str) -> None:
        self.lmp = lmp
        self.group = group
        self._members: Integers | None = None
        self._comm: Communicator | None = None
        bits = 10 if lmp.extract_setting("imageint") == 4 else 21
        self._image_bits, self._image_mask, self._image_zero = bits, (1 << bits) - 1, 1 << (bits - 1)

    @property
    def comm(self) -> Communicator:
        """A duplicate of LAMMPS's communicator: results are written when LAMMPS itself may have gone."""
        if self._comm is None:
            self._comm = self._duplicate()
        return self._comm

    def _duplicate(self) -> Communicator:
        if self.lmp.extract_setting("world_size") == 1:
            return Alone()
        comm = self.lmp.get_mpi_comm()
        if comm is None:
            raise TopoError("a run on several ranks needs mpi4py, built for the MPI library of this LAMMPS")
        return Ranks(comm.Dup())

    @property
    def step(self) -> int:
        return int(self.lmp.extract_global("ntimestep"))

    def stop(self) -> None:
        """End the run that is under way after this step, as if its time was up."""
        if hasattr(self.lmp, "force_timeout"):
            self.lmp.force_timeout()

    @property
    def timestep(self) -> float:
        return float(self.lmp.extract_global("dt"))

    @property
    def units(self) -> str:
        units = self.lmp.extract_global("units")
        return units.decode() if isinstance(units, bytes) else str(units)

    @property
    def pressure_volume(self) -> float:
        return float(self.lmp.extract_global("nktv2p"))

    @property
    def has_charge(self) -> bool:
        return bool(self.lmp.extract_setting("q_flag"))

    @property
    def cell(self) -> Array:
        """(3, 3) lattice vectors as rows."""
        low, high, xy, yz, xz = self.lmp.extract_box()[:5]
        size = np.subtract(high, low)
        return np.array([[size[0], 0, 0], [xy, size[1], 0], [xz, yz, size[2]]], dtype=np.float64)

    @property
    def atoms(self) -> int:
        return int(self.lmp.extract_setting("nlocal"))

    def choose_members(self) -> None:
        """Remember which atoms are in the group now: measured groups are static."""
        if self.group == "all":
            return
        groups = [name.decode() if isinstance(name, bytes) else name for name in self.lmp.available_ids("group")]
        if self.group not in groups:
            raise ConfigError(f"group '{self.group}' does not exist (there are: {', '.join(groups)})")
        variable = "lammps_topo_member"
        self.lmp.command(f"variable {variable} atom gmask({self.group})")
        inside = self.lmp.extract_variable(variable, "all", _ATOM_VARIABLE)
        tags = self._peratom("id")
        chosen = tags[np.array(inside[: len(tags)]) != 0] if len(tags) else tags
        self.lmp.command(f"variable {variable} delete")
        everyone = np.concatenate(self.comm.collect(np.asarray(chosen, dtype=np.int64)))
        self._members = np.sort(everyone)

    def tags_and_types(self) -> tuple[Integers, Integers]:
        """Of this rank's atoms of the group."""
        keep = self._kept()
        return self._peratom("id")[keep].astype(np.int64), self._peratom("type")[keep].astype(np.int64)

    def masses_of_group(self) -> Array:
        """(n,) of this rank's atoms of the group."""
        masses: Array = self.masses()[self._kept()]
        return masses

    def masses(self) -> Array:
        """(n,) of all atoms of this rank."""
        if self.lmp.extract_setting("rmass_flag"):
            return np.asarray(self._peratom("rmass"), dtype=np.float64)
        by_type = np.asarray(self.lmp.numpy.extract_atom("mass")).reshape(-1)
        return by_type[self._peratom("type")] if self.atoms else np.zeros(0)

    def degrees_of_freedom(self, kinetic: float, boltzmann: float) -> float:
        """As compute temp counts them: Σ m v² (all ranks, energy) over k_B T; 0 for a system at rest."""
        temperature = self.lmp.extract_compute("thermo_temp", 0, 0)
        freedom = kinetic / (boltzmann * float(temperature)) if temperature else 0.0
        # LAMMPS's constants have other last digits than ours, but degrees of freedom are whole
        return float(round(freedom)) if abs(freedom - round(freedom)) < 1e-5 * freedom else freedom

    def sample(self, has_charge: bool, values: AtomValues | None = None) -> tuple[Array, Array, float]:
        """Rows (n, 7 or more) and sums (7,) of :class:`~lammps_topo.stream.block.Packed`, and the volume.

        Collective with ``values``, the columns behind charges.
        """
        cell = self.cell
        volume = float(np.prod(np.diagonal(cell)))
        more = [] if values is None else values.read(self.atoms)
        if not self.atoms:
            width = 7 + has_charge + (0 if values is None else values.width)
            return np.zeros((0, width)), np.zeros(len(SUMS)), volume
        image = self._peratom("image").astype(np.int64)
        turns = np.stack([(image >> (self._image_bits * axis)) & self._image_mask for axis in range(3)], axis=1)
        x = self._peratom("x") + (turns - self._image_zero) @ cell
        v, mass = self._peratom("v"), self.masses()
        sums = np.concatenate(([np.einsum("i,ij,ij->", mass, v, v)], mass @ v, mass @ x))
        columns = [self._peratom("id")[:, None], x, v]
        if has_charge:
            columns.append(self._peratom("q")[:, None])
        return np.concatenate([*columns, *more], axis=1)[self._kept()], sums, volume

    @property
    def has_molecules(self) -> bool:
        return bool(self.lmp.extract_setting("molecule_flag"))

    def molecules(self, has_charge: bool) -> dict[str, Any]:
        """Molecules and charges of this rank's atoms of the group, and the molecules of the others."""
        keep = self._kept()
        ids = self._peratom("molecule").astype(np.int64)
        outside = np.ones(len(ids), dtype=bool)
        outside[keep] = False
        charges = self._peratom("q")[keep].astype(np.float64) if has_charge else None
        return {"molecules": ids[keep], "charges": charges, "other_molecules": ids[outside]}

    def _kept(self) -> Any:
        return slice(None) if self._members is None else np.isin(self._peratom("id"), self._members)

    def _peratom(self, name: str) -> Any:
        number = self.atoms
        if not number:
            return np.zeros(
                (0, 3) if name in _VECTORS else 0,
                dtype=np.float64 if name in (*_VECTORS, "q", "rmass") else np.int64,
            )
        array = np.asarray(self.lmp.numpy.extract_atom(name))[:number]
        return array if name in _VECTORS else array.reshape(number)


class PythonHost:
    """Samples a LAMMPS instance from Python, one call a sample, and hands blocks to a measurement.

    Parameters
    ----------
    lmp : the ``lammps`` instance; its box and atoms exist
    config : path of a configuration file, or None
    every, group : as on a fix line
    overrides : dotted key → value, on top of the file
    door : said in the results
    numbers : what reads the numbers of global fluxes, made from the instance, the fluxes and ``every``

    Attributes
    ----------
    over : an error has ended the measurement, but not the run (``on_error continue``)
    stopped : SIGTERM has ended the run (``on_sigterm stop``)
    """

    def __init__(
        self,
        lmp: Any,
        config: str | None,
        *,
        every: int,
        group: str,
        overrides: Mapping[str, Any],
        name: str,
        door: str,
        numbers: Callable[[Any, Sequence[GlobalFlux], int], GlobalNumbers],
    ) -> None:
        if every <= 0:
            raise ConfigError(f"every is {every}, but must be a positive number of steps")
        self.reader = LammpsReader(lmp, group)
        if lmp.extract_setting("dimension") != 3:
            raise ConfigError("the system has 2 dimensions, but conductivities and diffusion are defined here for 3")
        self.every = every
        comm = self.reader.comm
        self.reader.choose_members()
        tags, types = self.reader.tags_and_types()
        if not comm.sum(np.array([float(len(tags))]))[0]:
            raise ConfigError(f"group '{group}' has no atoms")
        self._has_charge = self.reader.has_charge
        self.timestep = self.reader.timestep
        version = lmp.version()
        self.measurement = Measurement(
            load_config(config, overrides),
            Host(
                units=self.reader.units,
                timestep=self.timestep,
                every=every,
                types=types,
                has_charge=self._has_charge,
                has_velocity=True,
                has_force=True,
                has_molecules=self.reader.has_molecules,
                name=name,
                provenance={"door": door, "lammps": str(version), "configuration_file": config},
                pressure_volume=self.reader.pressure_volume,
            ),
            comm,
        )
        try:
            self._values = AtomValues(lmp, self._atom_sources())
            fluxes = self.measurement.plan.global_fluxes
            self._numbers = numbers(lmp, fluxes, every) if fluxes else None
        except ConfigError:
            self.measurement.close()
            raise
        self.over = self.stopped = False
        self._sigterm = None if self.measurement.config.on_sigterm == "ignore" else Sigterm.watch()
        self._block = 0
        self._last: int | None = None
        self._cell: Array | None = None
        self._end: tuple[int, Array] | None = None  # where the last run ended, and what the system was like
        self._new_stretch = False
        self._steps: list[int] = []
        self._clear()

    def _atom_sources(self) -> list[AtomSource]:
        """What is packed behind charges: the force, if it is wanted, comes first."""
        force = self.measurement.plan.force
        forces = [] if force is None else [AtomSource("correlations.force", force, 3)]
        return [*forces, *self.measurement.plan.atom_sources]

    def scheduled(self) -> AbstractContextManager[Any]:
        """A context in which LAMMPS runs, and knows at which steps there are samples."""
        return nullcontext() if self._numbers is None else self._numbers.scheduled()

    def sample(self) -> None:
        """Take the sample of this timestep, once. Collective."""
        if not self.over:
            self._guarded(self._sample)
        if self._sigterm is not None and self._sigterm_came():
            self._interrupt()

    def _sample(self) -> None:
        reader, step = self.reader, self.reader.step
        if step == self._last or step % self.every:
            return
        if reader.timestep != self.timestep:
            raise ConfigError(
                f"the timestep changed from {self.timestep:g} to {reader.timestep:g} during the measurement"
            )
        rows, sums, volume = reader.sample(self._has_charge, self._values)
        if not self._block:
            self._begin(rows, sums)
            if step == self._last and not self._new_stretch:  # it is the last one of the state that is continued
                return
        numbers = None if self._numbers is None else self._numbers.read()
        if self._steps and self._last is not None and step != self._last + self.every:
            self._deliver()
        if numbers is not None:
            self._number_values.append(numbers)
        self._cell = reader.cell  # LAMMPS may have gone when the last block is packed
        self._steps.append(step)
        self._rows.append(rows)
        self._sums.append(sums)
        self._volumes.append(volume)
        self._last = step
        every = self.measurement.config.checkpoint_steps
        if len(self._steps) >= self._block or (every is not None and step % every == 0):
            self._deliver()

    def _guarded(self, action: Callable[[], None]) -> None:
        """What ends the measurement ends the run, too, unless the user wants otherwise."""
        try:
            action()
        except TopoError as error:
            if self.measurement.config.on_error == "stop" or not self._block:
                raise
            self.over = True
            self._clear()
            self.measurement.notices.append(f"WARNING: {error}; the run goes on without analysis")

    def _sigterm_came(self) -> bool:
        """Whether any rank got it. Collective."""
        assert self._sigterm is not None
        return bool(self.measurement.comm.sum(np.array([float(self._sigterm.came)]))[0])

    def _interrupt(self) -> None:
        """Obey SIGTERM, once."""
        self._sigterm = None
        if self._block and not self.over:
            packed, new_stretch = self._packed(), self._new_stretch
            self._clear()
            self._guarded(lambda: interrupted(self.measurement, packed, new_stretch=new_stretch))
        if self.measurement.config.on_sigterm == "stop":
            self.stopped = True
            self.reader.stop()
            self.measurement.notices.append(
                f"SIGTERM: the run ends at step {self.reader.step}; further runs are passed over, other commands not"
            )

    def ends_run(self) -> bool:
        """Whether what is wanted is known, so that the run may end; True once only."""
        ends, self.measurement.ends_run = self.measurement.ends_run and not self.stopped, False
        return ends

    def checkpoint(self) -> str:
        """Write the state with all samples so far; its name, empty if it is not written. Collective."""
        if not self._block or self.over:
            return ""
        packed, new_stretch = self._packed(), self._new_stretch
        self._clear()
        return self.measurement.checkpoint(packed, new_stretch=new_stretch)

    def finish(self) -> None:
        """Write the results file with all samples so far. Collective."""
        if self._block and not self.over:
            packed, new_stretch = self._packed(), self._new_stretch
            self._clear()
            self._guarded(lambda: self.measurement.finish(packed, new_stretch=new_stretch, now=True))

    def close(self) -> None:
        """End of the measurement: write what is not written, and give the name of the file free. Collective."""
        self.finish()
        self.measurement.close()

    def end_of_run(self) -> None:
        """A run has ended: write the results, and remember what the system is like. Collective."""
        self.finish()
        self._end = self.reader.step, self._fingerprint()

    def resume(self) -> None:
        """A run begins: if the system was edited since the last one, a new stretch begins, too. Collective."""
        if not self.over and self._edited():
            if self._steps:
                self._deliver()
            self._new_stretch, self._last = True, None
        self.sample()

    def _edited(self) -> bool:
        if self._end is None:
            return False
        step, then = self._end
        if self.measurement.config.path is not None or self.reader.step != step:
            return True  # along a path every run begins with a point of its own
        now, sums = self._fingerprint(), len(SUMS)
        size = np.concatenate((np.full(sums, np.abs(then[:sums]).max()), then[-_MOTION:]))
        return bool((np.abs(now - then)[: len(size)] > _ROUNDING * size).any())

    def _fingerprint(self) -> Array:
        """(7 + 6 + 6,) of the present: sums over the system; positions and velocities, each atom of the group with a
        weight of its own, so that no edit cancels; and the same of absolute values."""
        rows, sums, _ = self.reader.sample(has_charge=False)
        motion = rows[:, 1 : 1 + _MOTION]
        return self.measurement.comm.sum(
            np.concatenate((sums, np.cos(rows[:, 0]) @ motion, np.abs(motion).sum(axis=0)))
        )

    def _begin(self, rows: Array, sums: Array) -> None:
        """``rows`` and ``sums`` of the present step, a sample."""
        units, comm, step = self.measurement.plan.units, self.measurement.comm, self.reader.step
        system = comm.sum(sums.copy())
        kinetic = float(system[0]) * units.kinetic
        tags, types = self.reader.tags_and_types()
        self._block = self.measurement.begin(
            tags,
            types,
            masses=self.reader.masses_of_group(),
            total_mass=float(self.reader.masses().sum()),
            degrees_of_freedom=self.reader.degrees_of_freedom(kinetic, units.boltzmann),
            **(self.reader.molecules(self._has_charge) if self.measurement.plan.needs_molecules else {}),
            start=Start(now=step, first=step, positions=rows[:, 1:4], sums=system),
        )
        continued = self.measurement.continued
        if continued is not None:
            self._last, self._new_stretch = continued.step, self.measurement.new_stretch

    def _deliver(self) -> None:
        packed, new_stretch = self._packed(), self._new_stretch
        self._clear()
        self.measurement.take(packed, new_stretch=new_stretch)

    def _packed(self) -> Packed:
        width = 7 + self._has_charge + self._values.width
        return Packed(
            steps=np.array(self._steps, dtype=np.int64),
            counts=np.array([len(rows) for rows in self._rows], dtype=np.int64),
            rows=np.concatenate(self._rows) if self._rows else np.zeros((0, width)),
            sums=np.array(self._sums).reshape(-1, len(SUMS)),
            volumes=np.array(self._volumes),
            numbers=np.array(self._number_values) if self._number_values else None,
            cell=self._cell,
        )

    def _clear(self) -> None:
        if self._steps:
            self._new_stretch = False  # else it waits for the sample that begins the stretch
        self._steps = []
        self._rows: list[Array] = []
        self._sums: list[Array] = []
        self._volumes: list[float] = []
        self._number_values: list[Array] = []


def at_exit(host: PythonHost) -> None:
    """Write the results when the program ends: LAMMPS's python/invoke has no hook at the end of a run.

    The interpreter that LAMMPS embeds is never finalized, so ``atexit`` alone does not do: MPI_Finalize deletes the
    attributes of MPI_COMM_SELF first, while MPI still works.
    """

    done: list[bool] = []  # whichever of the two comes first

    def leave(*_: Any) -> None:
        if done:
            return
        done.append(True)
        try:
            host.close()
        except TopoError as error:
            if host.measurement.comm.rank == 0:
                print(f"ERROR: fix topo: {error}", flush=True)

    atexit.register(leave)
    try:
        from mpi4py import MPI
    except ImportError:
        return
    MPI.COMM_SELF.Set_attr(MPI.Comm.Create_keyval(delete_fn=leave), None)
