"""What a measurement counts: samples, time, mean charges, the temperature, and how its last sample moved."""

from __future__ import annotations

import numpy as np

from ..stream.block import Array, Block
from ..stream.snapshot import Snapshot
from .block_average import BlockAverage


class Tally:
    """Running counts, the same on every rank.

    Attributes
    ----------
    samples : how many
    elapsed : the time that they span, gaps left out
    first_step, last_step : of the first and the last of them
    charge : (A, S) Σ over samples of the total charge of a species, a third of the trace of a tensor, by assignment
    temperature : its running mean
    motion : (4,) Σ m v² and Σ m v / M of the whole system at the last sample
    """

    def __init__(self, species: int, interval: float, assignments: int = 0) -> None:
        self._interval = interval
        self.samples = 0
        self.elapsed = 0.0
        self.first_step = self.last_step = 0
        self.charge: Array = np.zeros((assignments, species))
        self.temperature = BlockAverage()
        self.motion: Array = np.zeros(4)

    def count(self, block: Block) -> None:
        """Add the samples of a block, whatever becomes of their contents."""
        if not self.samples:
            self.first_step = int(block.steps[0])
        self.samples += len(block)
        self.elapsed += (len(block) - (block.first == 0)) * self._interval
        self.last_step = int(block.steps[-1])
        self.motion[0] = block.totals.kinetic[-1]
        if block.totals.centre_velocity is not None:
            self.motion[1:] = block.totals.centre_velocity[-1]

    def observe(self, block: Block, temperature: Array) -> None:
        """Add what is averaged; ``temperature`` (B,)."""
        self.charge += np.trace(block.totals.charge.sum(axis=0), axis1=-2, axis2=-1) / 3
        self.temperature.observe(temperature)

    def state(self) -> Snapshot:
        """What it remembers."""
        names = ("samples", "elapsed", "first_step", "last_step", "charge", "motion")
        return Snapshot({name: getattr(self, name) for name in names}).joined(temperature=self.temperature.state())

    def restore(self, state: Snapshot) -> None:
        self.samples, self.elapsed = state.number("samples"), float(state["elapsed"])
        self.first_step, self.last_step = state.number("first_step"), state.number("last_step")
        self.charge, self.motion = state["charge"], state["motion"]
        self.temperature.restore(state.part("temperature"))
