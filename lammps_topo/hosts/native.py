"""The Python side of ``fix ID group topo``: fills in the callbacks of the C++ shim and hands its blocks on.

``topo_link.h`` is the contract; :class:`Link` mirrors it field by field.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
import traceback
from collections.abc import Callable, Sequence
from ctypes import c_char, c_char_p, c_double, c_int32, c_int64
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config, parse_config, read_text, words_to_overrides
from ..errors import ConfigError, TopoError
from ..interrupt import interrupted
from ..measurement import Host, Measurement, Start
from ..restart import Named
from ..stream.block import SUMS, Packed
from ..stream.communicator import Communicator, communicator

LINK_VERSION = 9
_MESSAGE, _NAME = 4096, 40


class Link(ctypes.Structure):
    """``struct TopoLink``."""


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Link))
_CALLBACKS = ("create", "setup", "take", "vector_update", "save", "interrupt", "finish", "close")
Link._fields_ = [
    ("version", c_int32), ("size", c_int32),
    ("ranks", c_int32), ("rank", c_int32), ("mpi_comm", c_int32),
    ("has_charge", c_int32), ("has_molecule", c_int32),
    ("world", c_int32), ("words", c_int32), ("new_stretch", c_int32),
    ("word", ctypes.POINTER(c_char_p)),
    ("id", c_char_p), ("group", c_char_p), ("units", c_char_p), ("lammps", c_char_p),
    ("every", c_int64), ("timestep", c_double), ("pressure_volume", c_double),
    ("want_velocity", c_int32), ("want_charge", c_int32), ("want_force", c_int32), ("vector_length", c_int32),
    ("force", c_char_p),
    ("want_numbers", c_int64), ("number", ctypes.POINTER(c_char_p)), ("number_key", ctypes.POINTER(c_char_p)),
    ("want_values", c_int64), ("value", ctypes.POINTER(c_char_p)), ("value_key", ctypes.POINTER(c_char_p)),
    ("value_columns", ctypes.POINTER(c_int32)), ("want_molecules", c_int32),
    ("block", c_int64),
    ("on_sigterm", c_int32), ("goes_on", c_int32), ("path", c_int32), ("checkpoint_steps", c_int64),
    ("atoms", c_int64), ("tag", ctypes.POINTER(c_int64)), ("type", ctypes.POINTER(c_int32)),
    ("mass", ctypes.POINTER(c_double)),
    ("total_mass", c_double), ("degrees_of_freedom", c_double),
    ("position", ctypes.POINTER(c_double)),
    ("molecule", ctypes.POINTER(c_int64)), ("charge", ctypes.POINTER(c_double)),
    ("other_atoms", c_int64), ("other_molecule", ctypes.POINTER(c_int64)),
    ("system", c_double * len(SUMS)), ("now", c_int64),
    ("restarted", c_int32), ("restart_edited", c_int32), ("restart_step", c_int64), ("restart_state", c_char * _NAME),
    ("state", c_char * _NAME), ("measurement", c_char * _NAME), ("restart_measurement", c_char * _NAME),
    ("last_sample", c_int64),
    ("samples", c_int64), ("rows", c_int64), ("width", c_int64), ("cell", c_double * 9),
    ("step", ctypes.POINTER(c_int64)), ("count", ctypes.POINTER(c_int64)),
    ("row", ctypes.POINTER(c_double)), ("sums", ctypes.POINTER(c_double)), ("volume", ctypes.POINTER(c_double)),
    ("numbers", ctypes.POINTER(c_double)),
    ("ends_run", c_int32),
    ("vector", ctypes.POINTER(c_double)), ("bytes", c_double),
    ("message", c_char * _MESSAGE), ("notice", c_char * _MESSAGE),
    *((name, Callback) for name in _CALLBACKS),
]  # fmt: skip

_alive: dict[int, NativeHost] = {}
_closed: list[NativeHost] = []


class NativeHost:
    """One ``fix topo``: its link and its measurement."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._comm: Communicator | None = None
        self._measurement: Measurement | None = None
        self._force = b""
        self._names: list[Any] = []
        # ctypes keeps no reference to callbacks stored in a structure
        self.callbacks = {name: Callback(self._safe(name, getattr(self, name))) for name in _CALLBACKS}
        for name, function in self.callbacks.items():
            setattr(link, name, function)

    @property
    def measurement(self) -> Measurement:
        assert self._measurement is not None
        return self._measurement

    def create(self) -> None:
        link = self._link
        self._comm = communicator(link.mpi_comm, link.ranks)
        words = [link.word[i].decode(errors="replace") for i in range(link.words)]
        path = words.pop(0) if len(words) % 2 else None
        problem, text = None, None
        if self._comm.rank == 0 and path is not None:
            try:
                text = read_text(path)
            except ConfigError as error:
                is_keyword = path.split(".")[0] in Config.model_fields
                problem = f"keyword '{path}' has no value" if is_keyword else str(error)
        problem, text = self._comm.share((problem, text))
        if problem:
            raise ConfigError(problem)
        config = parse_config(text, words_to_overrides(words), source=path or "the fix line")
        self._measurement = Measurement(
            config,
            Host(
                units=link.units.decode(),
                timestep=link.timestep,
                every=link.every,
                types=_copy(link.type, link.atoms, np.int64),
                has_charge=bool(link.has_charge),
                has_velocity=True,
                has_force=True,
                has_molecules=bool(link.has_molecule),
                name=_name(path, link.id.decode(), link.world),
                provenance={
                    "door": "fix topo",
                    "lammps": link.lammps.decode(),
                    "fix": f"fix {link.id.decode()} {link.group.decode()} topo {link.every} {' '.join(words)}".strip(),
                    "configuration_file": path,
                    "command": _command_line(),
                },
                pressure_volume=link.pressure_volume,
            ),
            self._comm,
        )
        link.want_velocity = 1
        link.want_charge = link.has_charge
        # kept alive for the shim, which reads it at any time
        self._force = (self._measurement.plan.force or "").encode()
        link.want_force = bool(self._force)
        link.force = self._force
        wanted = [(flux.key, source) for flux in self._measurement.plan.global_fluxes for source in flux.sources]
        link.want_numbers = len(wanted)
        link.number_key, link.number = (self._texts([pair[i] for pair in wanted]) for i in range(2))
        values = self._measurement.plan.atom_sources
        link.want_values = len(values)
        link.value_key, link.value = (
            self._texts([one.key for one in values]),
            self._texts([one.source for one in values]),
        )
        columns = (c_int32 * len(values))(*(one.columns for one in values))
        self._names.append(columns)
        link.value_columns = ctypes.cast(columns, ctypes.POINTER(c_int32))
        link.want_molecules = self._measurement.plan.needs_molecules
        link.vector_length = len(self._measurement.plan.thermo)
        link.on_sigterm = ("ignore", "checkpoint", "stop").index(config.on_sigterm)
        link.goes_on = config.on_error == "continue"
        link.path = config.path is not None

    def _texts(self, texts: Sequence[str]) -> Any:
        """For the shim, which reads them at any time: kept alive."""
        names = (c_char_p * len(texts))(*(text.encode() for text in texts))
        self._names.append(names)
        return ctypes.cast(names, ctypes.POINTER(c_char_p))

    def setup(self) -> None:
        link = self._link
        measurement, every = self.measurement, link.every
        link.block = measurement.begin(
            _copy(link.tag, link.atoms, np.int64),
            _copy(link.type, link.atoms, np.int64),
            masses=_copy(link.mass, link.atoms, np.float64),
            total_mass=link.total_mass,
            degrees_of_freedom=link.degrees_of_freedom,
            **self._molecules(),
            start=Start(
                now=link.now,
                first=-(-link.now // every) * every,
                positions=_view(link.position, (link.atoms, 3)),
                sums=np.array(link.system[:]),
                named=self._named(),
            ),
        )
        link.checkpoint_steps = measurement.config.checkpoint_steps or 0
        link.last_sample = -1 if measurement.continued is None else measurement.continued.step
        link.new_stretch = measurement.new_stretch

    def _molecules(self) -> dict[str, Any]:
        """Of the atoms, if the measurement needs them."""
        link = self._link
        if not link.want_molecules:
            return {}
        return {
            "molecules": _copy(link.molecule, link.atoms, np.int64),
            "charges": _copy(link.charge, link.atoms, np.float64) if link.has_charge else None,
            "other_molecules": _copy(link.other_molecule, link.other_atoms, np.int64),
        }

    def _named(self) -> Named | None:
        """What the restart file says of the measurement."""
        link = self._link
        if not link.restarted:
            return None
        if link.restarted < 0:
            return Named(link.now, "", "")
        return Named(
            step=link.restart_step,
            generation=link.restart_state.decode(errors="replace"),
            measurement=link.restart_measurement.decode(errors="replace"),
            edited=bool(link.restart_edited),
        )

    def take(self) -> None:
        self.measurement.take(self._packed(), new_stretch=bool(self._link.new_stretch))
        self._link.ends_run = self._ends_run()

    def vector_update(self) -> None:
        values = self.measurement.vector()
        ctypes.memmove(self._link.vector, values.ctypes.data, values.nbytes)

    def save(self) -> None:
        """LAMMPS writes a restart file: the state that belongs to it is named there."""
        link = self._link
        link.state = self.measurement.checkpoint(self._packed(), new_stretch=bool(link.new_stretch)).encode()
        link.measurement = self.measurement.name.encode()
        link.ends_run = self._ends_run()

    def _ends_run(self) -> bool:
        """Whether what is wanted is known, so that the run may end: the shim is told once."""
        ends, self.measurement.ends_run = self.measurement.ends_run, False
        return ends

    def interrupt(self) -> None:
        """SIGTERM: the run may be killed soon."""
        interrupted(self.measurement, self._packed(), new_stretch=bool(self._link.new_stretch))

    def finish(self) -> None:
        self.measurement.finish(self._packed(), new_stretch=bool(self._link.new_stretch))

    def close(self) -> None:
        """The fix or the program ends: write what is not written yet."""
        _closed.append(_alive.pop(ctypes.addressof(self._link), self))
        del _closed[:-1]  # the callback in use must not be freed before it has returned
        if self._measurement is not None:
            self._measurement.close(self._packed() if self._link.width else None)

    def _packed(self) -> Packed:
        """The block, without copying: the shim's memory stays as it is during the call."""
        link = self._link
        if not link.samples:
            empty = np.zeros(0, dtype=np.int64)
            return Packed(empty, empty, np.zeros((0, link.width)), np.zeros((0, len(SUMS))), np.zeros(0))
        return Packed(
            steps=_copy(link.step, link.samples, np.int64),
            counts=_copy(link.count, link.samples, np.int64),
            rows=_view(link.row, (link.rows, link.width)),
            sums=_view(link.sums, (link.samples, len(SUMS))),
            volumes=_view(link.volume, (link.samples,)).copy(),
            numbers=_view(link.numbers, (link.samples, link.want_numbers)) if link.want_numbers else None,
            cell=np.array(link.cell[:]).reshape(3, 3),
        )

    def _safe(self, name: str, method: Callable[[], None]) -> Callable[[Any], int]:
        def callback(_: Any) -> int:
            link = self._link
            try:
                method()
                if self._measurement is not None:
                    link.notice = "\n".join(self._measurement.notices).encode()[: _MESSAGE - 1]
                    self._measurement.notices.clear()
                    link.bytes = self._measurement.nbytes
                return 0
            except TopoError as error:
                link.message = str(error).encode()[: _MESSAGE - 1]
            except Exception:  # a bug: still a message and an orderly end
                link.message = traceback.format_exc().encode()[-_MESSAGE + 1 :]
            if name == "create":  # the fix will not exist
                _alive.pop(ctypes.addressof(link), None)
            elif name == "close" and link.rank == 0:  # nobody is left to raise an error
                print(f"ERROR: fix {link.id.decode()} topo: {link.message.decode(errors='replace')}", file=sys.stderr)
            return 1

        return callback


def connect(address: int) -> None:
    """Called by the shim with the address of its link."""
    link = Link.from_address(address)
    if (link.version, link.size) != (LINK_VERSION, ctypes.sizeof(Link)):
        raise ConfigError(
            f"the shim speaks version {link.version} of its interface, this lammps_topo version {LINK_VERSION}; "
            "run 'lammps-topo build-plugin' again"
        )
    _alive[address] = NativeHost(link)


def living_hosts() -> list[NativeHost]:
    """The hosts of all fixes that there are in this process."""
    return list(_alive.values())


@atexit.register
def _leave() -> None:
    """The interpreter ends: save what a lone rank still holds, and take the callbacks away from the shim."""
    for host in list(_alive.values()):
        link = host._link
        if link.ranks == 1:
            link.close(ctypes.byref(link))
        for name in _CALLBACKS:
            setattr(link, name, Callback())
    _alive.clear()


def _name(path: str | None, fix: str, world: int) -> str:
    """What names the results file: the configuration, else the fix; partitions have a file each."""
    stem = Path(path).name.removesuffix(".yaml").removesuffix(".yml") if path else fix
    return stem if world < 0 else f"{stem}.{world}"


def _command_line() -> str:
    """Of the program that hosts this interpreter: it names the input script."""
    try:
        return Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _view(pointer: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    if 0 in shape:
        return np.zeros(shape)
    return np.ctypeslib.as_array(pointer, shape=shape)


def _copy(pointer: Any, length: int, kind: type) -> np.ndarray[Any, Any]:
    if not length:
        return np.zeros(0, dtype=kind)
    return np.ctypeslib.as_array(pointer, shape=(length,)).astype(kind)
