"""Ranks that are threads of one process, for tests that go through many divisions of the same atoms."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

_PATIENCE = 100.0


class Crew:
    """What the members share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=_PATIENCE)
        self.table = [b""] * size
        self.mail = {(source, target): SimpleQueue() for source in range(size) for target in range(size)}


class Member:
    """The :class:`~lammps_topo.stream.communicator.Communicator` of one thread."""

    def __init__(self, crew: Crew, rank: int) -> None:
        self._crew, self.rank, self.size = crew, rank, crew.size

    def collect(self, value: Any) -> list[Any]:
        crew = self._crew
        crew.table[self.rank] = pickle.dumps(value)  # a copy for each, as over MPI
        crew.barrier.wait()
        everybody = [pickle.loads(parcel) for parcel in crew.table]
        crew.barrier.wait()
        return everybody

    def share(self, value: Any) -> Any:
        return self.collect(value)[0]

    def sum(self, array: Any) -> Any:
        total = np.zeros_like(array)
        for part in self.collect(array):
            total += part
        return total

    sum_to_root = sum

    def pass_on(self, array: Any, source: int, target: int) -> Any:
        if source == target:
            return array
        if self.rank == source:
            self._crew.mail[source, target].put(np.array(array))
        return self._crew.mail[source, target].get(timeout=_PATIENCE) if self.rank == target else None

    def swap_counts(self, counts: Any) -> Any:
        return np.stack([part[self.rank] for part in self.collect(np.asarray(counts))])

    def swap_rows(self, rows: Any, sent: Any, received: Any) -> Any:
        parcels = self.collect((rows, np.cumsum(sent) - sent, sent))
        parts = [theirs[first[self.rank] :][: number[self.rank]] for theirs, first, number in parcels]
        assert [len(part) for part in parts] == list(received)
        return np.concatenate(parts)


def on_ranks(size: int, action: Callable[[Member], Any]) -> list[Any]:
    """What ``action`` returns on each rank. One of the errors that it raises, if it does on any."""
    crew, outcome = Crew(size), [None] * size
    errors: list[Exception] = []

    def work(rank: int) -> None:
        try:
            outcome[rank] = action(Member(crew, rank))
        except threading.BrokenBarrierError:
            pass
        except Exception as error:
            errors.append(error)
            crew.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors or crew.barrier.broken:
        raise errors[0] if errors else RuntimeError("the ranks wait for each other")
    return outcome
