"""Species that never part: a core and its shell, the atoms of molecules that stay whole.

The difference of their mean displacements is bounded, while both diffuse. The Nernst-Einstein conductivity and charges
by species, which take them for free particles, mean little: only the sum of their charges is transported.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from .gauge import limit, sine_amplitudes
from .result import Outcome

_LITTLE = 0.05
"""What the difference may conduct at most, against either of them."""


def bound_species(record: Record, config: Config) -> Outcome:
    """A note for each pair of species that are bound to each other, with the confidence ``gauge.level``.

    Nothing is said without a flux series, or of a run too short to tell.
    """
    nothing, number = Outcome((), (), ()), len(record.species)
    if record.series is None or number < 2:
        return nothing
    mean = record.series.moment[:, :number] / np.maximum(record.population, 1)[:, None]
    try:
        sines = sine_amplitudes(np.split(mean, record.series.stretches[1:]), record.interval)
    except EstimateError:
        return nothing
    alone = [limit(sines, place) for place in range(number)]
    level = config.gauge.level
    moving = [place for place in range(number) if alone[place].chance < 1 - level]
    notes = []
    for one, other in combinations(moving, 2):
        apart = limit(sines, sines.amplitude[:, one] - sines.amplitude[:, other])
        least = min(alone[one].value, alone[other].value)
        if apart.chance >= 1 - level and apart.upper(level) < _LITTLE * least:
            notes.append(
                f"'{record.species[one]}' and '{record.species[other]}' move together, as a core and its shell or the "
                "atoms of a molecule do: where both have charges, Nernst-Einstein conductivities and Haven ratios mean "
                "nothing, and of their constant charges only the sum does"
            )
    return Outcome((), (), tuple(notes))
