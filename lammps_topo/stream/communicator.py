"""The few collective operations that the stream needs, over MPI or alone.

A single rank needs no mpi4py. With more ranks the communicator is LAMMPS's own, so that partitions work.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import TopoError

if TYPE_CHECKING:
    from mpi4py import MPI


class Communicator(Protocol):
    """What accumulators and stream may do across ranks; every method is collective."""

    rank: int
    size: int

    def sum(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """The element-wise sum over ranks, the same on every rank."""
        ...

    def sum_to_root(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """The element-wise sum over ranks on rank 0; elsewhere the contents are undefined."""
        ...

    def share(self, value: Any) -> Any:
        """Rank 0's ``value`` on every rank."""
        ...

    def collect(self, value: Any) -> list[Any]:
        """Everybody's ``value`` on every rank, by rank."""
        ...

    def pass_on(self, array: NDArray[Any] | None, source: int, target: int) -> NDArray[Any] | None:
        """The ``array`` of rank ``source`` on rank ``target``; only these two need to call."""
        ...

    def swap_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row p of ``counts`` (size, B) goes to rank p; returned are the rows that came, by sender."""
        ...

    def swap_rows(
        self, rows: NDArray[np.float64], sent: NDArray[np.int64], received: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Send ``rows`` (R, width), sorted by destination, ``sent[p]`` of them to rank p; returned are those received,
        sorted by sender."""
        ...


class Alone:
    """The communicator of a single process."""

    rank = 0
    size = 1

    def sum(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        return array

    def sum_to_root(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        return array

    def share(self, value: Any) -> Any:
        return value

    def collect(self, value: Any) -> list[Any]:
        return [value]

    def pass_on(self, array: NDArray[Any] | None, source: int, target: int) -> NDArray[Any] | None:
        return array

    def swap_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return counts

    def swap_rows(
        self, rows: NDArray[np.float64], sent: NDArray[np.int64], received: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return rows


class Ranks:
    """An mpi4py communicator behind the same methods."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()

    def sum(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.empty_like(array)
        self._comm.Allreduce(array, total)
        return total

    def sum_to_root(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        array = np.ascontiguousarray(array)
        total = np.empty_like(array)
        self._comm.Reduce(array, total)
        return total

    def share(self, value: Any) -> Any:
        return self._comm.bcast(value)

    def collect(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def pass_on(self, array: NDArray[Any] | None, source: int, target: int) -> NDArray[Any] | None:
        if source == target:
            return array
        if self.rank == source:
            self._comm.send(array, target)
        received: NDArray[Any] | None = self._comm.recv(source=source) if self.rank == target else None
        return received

    def swap_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        received = np.empty_like(counts)
        self._comm.Alltoall(np.ascontiguousarray(counts), received)
        return received

    def swap_rows(
        self, rows: NDArray[np.float64], sent: NDArray[np.int64], received: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        width = rows.shape[1]
        result = np.empty((int(received.sum()), width))
        # MPI counts are 32-bit: counted in rows, they reach far beyond any memory
        row = self._row_type(width)
        self._comm.Alltoallv(
            [rows, (sent, _offsets(sent)), row],
            [result, (received, _offsets(received)), row],
        )
        return result

    def _row_type(self, width: int) -> MPI.Datatype:
        from mpi4py import MPI

        if getattr(self, "_row", (0, None))[0] != width:
            self._row = (width, MPI.DOUBLE.Create_contiguous(width).Commit())
        return self._row[1]


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts)[:-1]))


def communicator(fortran_handle: int | None, size: int) -> Communicator:
    """The communicator of a LAMMPS that runs on ``size`` ranks and has this Fortran handle.

    Raises
    ------
    TopoError
        When mpi4py is missing or belongs to another MPI library than LAMMPS.
    """
    if size == 1 or fortran_handle is None:
        return Alone()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise TopoError(f"a run on {size} ranks needs mpi4py in the Python used by fix topo: {error}") from None
    try:
        comm = MPI.Intracomm(MPI.Comm.f2py(fortran_handle))
        agrees = comm.Get_size() == size
    except Exception:  # whatever a foreign handle provokes
        agrees = False
    if not agrees:
        vendor = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        raise TopoError(f"mpi4py is built for another MPI library ({vendor}) than LAMMPS; install one that matches")
    return Ranks(comm)


def agree(comm: Communicator, problem: str | None) -> str | None:
    """The first rank's problem that there is, on every rank; None when no rank has one. Collective."""
    return next((text for text in comm.collect(problem) if text), None)


def on_root(comm: Communicator, action: Callable[[], Any]) -> Any:
    """What ``action`` returns on rank 0, on every rank. Collective.

    Raises
    ------
    TopoError
        Whatever was raised there, in words.
    """
    result, problem = None, None
    if comm.rank == 0:
        try:
            result = action()
        except TopoError as error:
            problem = str(error)
        except Exception:  # the other ranks must not wait for ever
            problem = traceback.format_exc(limit=-2)
    result, problem = comm.share((result, problem))
    if problem is not None:
        raise TopoError(problem)
    return result
