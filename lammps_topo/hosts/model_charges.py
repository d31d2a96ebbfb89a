"""Charges or Born tensors that a model in Python predicts, as a property of LAMMPS's atoms that ``fix topo`` streams.

::

    from lammps_topo.hosts import model_charges

    exposed = model_charges.expose(lmp, model, property="d2_zstar", every=4)
    session = lammps_topo.attach(lmp, "agi.yaml", every=4)     # representations: {born: {born: d2_zstar}}
    session.run(200000)

Every ``every``-th step, after the forces and before samples are taken, the model is given all atoms in the order of
their IDs, on rank 0, and its answer goes to every rank, to atoms and their ghosts alike.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, TopoError
from ..stream.block import Array
from ..stream.communicator import agree
from .lammps_python import LammpsReader

_MISSING, _TENSOR = -1, 9
_COLUMNS = 5  # LMP_SIZE_COLS
_DTYPES = {"q": 2, "d": 2, "d2": 3}  # LAMMPS_DOUBLE, LAMMPS_DOUBLE_2D
_FAR = 1 << 30


class ChargeModel(Protocol):
    """What predicts: a :class:`~lammps_topo.centres.dipole_model.DipoleModel`, or a wrapper around any other."""

    def predict(self, positions: Array, types: NDArray[np.int64], cell: Array) -> Array:
        """Charges (N,), or tensors (N, 9) or (N, 3, 3) whose rows are the directions of the current, in e.

        ``positions`` (N, 3) in LAMMPS's unit of length, in the order of the IDs and in any image; ``types`` (N,) of
        LAMMPS; ``cell`` (3, 3) lattice vectors as rows, periodic in all directions.
        """
        ...


class ExposedModel:
    """A model whose predictions are written into a property of the atoms.

    Attributes
    ----------
    error : the sentence that ended the predictions, or None; from then on the property is NaN, which no measurement
        takes for a number
    calls : how often the model was asked
    """

    def __init__(self, lmp: Any, model: ChargeModel, name: str) -> None:
        kind = name if name == "q" else name.partition("_")[0]
        if kind not in _DTYPES or (kind != "q" and not name.partition("_")[2].isidentifier()):
            raise ConfigError(
                f"property '{name}' is not known (allowed: q, d_NAME for charges, d2_NAME with nine columns)"
            )
        if kind == "d2" and not hasattr(lmp, "extract_atom_size"):
            # older versions hand out such arrays without their shape
            raise ConfigError(f"property '{name}' needs a LAMMPS of 2024 or later; d_NAME, for charges, does not")
        if not all(lmp.extract_box()[5]):
            raise ConfigError("a model is given a cell that is periodic in all directions, but the box is not")
        self.error: str | None = None
        self.calls = 0
        self._lmp, self._model, self._name, self._kind = lmp, model, name, kind
        self._reader = LammpsReader(lmp, "all")

    def define(self) -> None:
        """Define the property, if atoms do not have it."""
        if self._kind != "q" and self._lmp.extract_atom_datatype(self._name) == _MISSING:
            # ghosts get theirs when atoms migrate, too, and between that from us
            self._lmp.command(f"fix topo_{self._name} all property/atom {self._name}{self._columns} ghost yes")

    def check(self) -> None:
        """Raises ConfigError where atoms do not have the property, or with other columns."""
        fits = self._lmp.extract_atom_datatype(self._name) == _DTYPES[self._kind]
        if fits and self._kind == "d2":
            fits = self._lmp.extract_atom_size(self._name, _COLUMNS) == _TENSOR
        if not fits:
            raise ConfigError(
                f"atoms have no property '{self._name}' (fix ID all property/atom {self._name}{self._columns})"
            )

    @property
    def _columns(self) -> str:
        return f" {_TENSOR}" if self._kind == "d2" else ""

    def update(self) -> None:
        """Predict for where the atoms are now. Collective.

        Raises
        ------
        TopoError
            The model failed, on whichever rank; the same sentence on all.
        """
        problem, values, tags = None, None, None
        comm, here = self._reader.comm, self._reader.atoms
        columns = [self._rows(name, here).reshape(here, width) for name, width in (("id", 1), ("type", 1), ("x", 3))]
        sent = np.zeros(comm.size, dtype=np.int64)
        sent[0] = here
        received = comm.swap_counts(sent[:, None])[:, 0]
        rows = comm.swap_rows(np.concatenate(columns, axis=1, dtype=np.float64), sent, received)
        if comm.rank == 0:
            rows = rows[np.argsort(rows[:, 0])]
            tags = rows[:, 0].astype(np.int64)
            try:
                values = self._predicted(rows[:, 2:], rows[:, 1].astype(np.int64))
            except TopoError as error:
                problem = str(error)
            except Exception as error:  # of whatever model it is
                problem = f"{type(error).__name__}: {error}"
        problem, values, tags = comm.share((problem, values, tags))
        if problem is not None or values is None or tags is None:
            raise TopoError(f"the model of '{self._name}' failed at step {self._reader.step}: {problem}")
        everyone = here + int(self._lmp.extract_setting("nghost"))
        if everyone:
            self._rows(self._name, everyone)[:] = values[np.searchsorted(tags, self._rows("id", everyone))]
        self.calls += 1

    def guarded_update(self) -> None:
        """:meth:`update` for callbacks, out of which no exception may come: it is said, and the run is ended."""
        if self.error is None:
            problem = None
            try:
                self.update()
            except Exception as error:
                problem = str(error)
            self.error = agree(self._reader.comm, problem)
            if self.error is not None:
                if self._reader.comm.rank == 0:
                    print(f"ERROR: {self.error}", flush=True)
                self._reader.stop()
        if self.error is not None and (everyone := self._reader.atoms + int(self._lmp.extract_setting("nghost"))):
            self._rows(self._name, everyone)[:] = np.nan

    def _predicted(self, positions: Array, types: NDArray[np.int64]) -> Array:
        low, high, xy, yz, xz = self._lmp.extract_box()[:5]
        size = np.subtract(high, low)
        cell = np.array([[size[0], 0, 0], [xy, size[1], 0], [xz, yz, size[2]]])
        values = np.asarray(self._model.predict(positions, types, cell), dtype=np.float64)
        number = len(positions)
        wanted = (number, _TENSOR) if self._kind == "d2" else (number,)
        if values.shape == (number, 3, 3):
            values = values.reshape(number, _TENSOR)
        if values.shape != wanted:
            raise ConfigError(f"it predicts an array {values.shape}, but {wanted} is needed")
        if not np.isfinite(values).all():
            raise TopoError("it predicts a number that is not finite")
        return values

    def _rows(self, name: str, number: int) -> Any:
        """A view of the first ``number`` rows; ghosts come behind the atoms of this rank."""
        columns = {"x": 3, self._name: _TENSOR if self._kind == "d2" else 1}.get(name, 1)
        if not number:
            return np.zeros((0, columns) if columns > 1 else 0)
        array = self._lmp.numpy.extract_atom(name, nelem=number, dim=columns)
        return array if columns > 1 else np.asarray(array).reshape(number)


def expose(lmp: Any, model: ChargeModel, *, property: str = "d2_zstar", every: int) -> ExposedModel:
    """Keep a property of LAMMPS's atoms at what a model predicts, from now on, every ``every`` steps. Collective.

    Parameters
    ----------
    lmp : a ``lammps.lammps`` instance whose box and atoms exist
    model : see :class:`ChargeModel`; rank 0 alone asks it
    property : ``q``, ``d_NAME`` (charges) or ``d2_NAME`` (Born tensors); it is defined if it is not there
    every : steps; samples of ``fix topo`` must be at multiples of it. Call this before ``attach`` or ``fix topo``:
        what is defined first is first in the setup of a run, too. The command ``unfix topo_model_NAME`` ends it

    Raises
    ------
    ConfigError, TopoError
        One sentence on what is wrong with the property, the box or the model.
    """
    if every <= 0:
        raise ConfigError(f"every is {every}, but must be a positive number of steps")
    exposed = ExposedModel(lmp, model, property)
    exposed.define()
    exposed.check()
    exposed.update()
    fix = f"topo_model_{property}"
    # the forces that fix external would add are none
    lmp.command(f"fix {fix} all external pf/callback {every} {_FAR}")

    def after_forces(_caller: Any, _step: int, _atoms: int, _tags: Any, _x: Any, forces: Any) -> None:
        forces[:] = 0.0
        exposed.guarded_update()

    lmp.set_fix_external_callback(fix, after_forces)
    return exposed


class Invoked:
    """What ``fix ID all python/invoke N post_force NAME`` calls, in a LAMMPS with its PYTHON package."""

    def __init__(self, model: ChargeModel, name: str) -> None:
        self._model, self._name = model, name
        self._exposed: ExposedModel | None = None

    def __call__(self, pointer: Any, *_: Any) -> None:
        if self._exposed is None:
            # mpi4py must come before lammps
            with contextlib.suppress(ImportError):
                from mpi4py import MPI  # noqa: F401
            from lammps import lammps

            lmp = pointer if hasattr(pointer, "extract_setting") else lammps(ptr=pointer)
            self._exposed = ExposedModel(lmp, self._model, self._name)
            self._exposed.check()
        self._exposed.guarded_update()


def invoke(model: ChargeModel, *, property: str = "d2_zstar") -> Invoked:
    """A callable for ``python/invoke N post_force``; ``fix property/atom`` must have defined the property.

    Its errors are printed by the interpreter, and LAMMPS stops. As python/invoke is called in steps only, the property
    is zero at step 0.
    """
    return Invoked(model, property)
