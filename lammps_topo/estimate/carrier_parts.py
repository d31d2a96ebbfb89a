"""The conductivity of ions, that of other carriers of charge among them, and what they have in common.

With J = J_ions + J_carrier the conductivity is the sum of S_AB(0)/(2 V kB T) over both, [PGB] Fig. 8: a lone pair of
charge -2 that hops among ions can conduct more than they do, and the cross part, which counts twice, may have any sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import Config
from ..record import Record
from ..units import Units
from .current_spectrum import representation_weights
from .flux_matrix import flux_matrix
from .result import Outcome, Result
from .spectral_part import require_state
from .state import State

Array = NDArray[np.float64]

IONS = "ions"


def carrier_groups(record: Record, config: Config) -> dict[str, list[int]]:
    """Places of the species that are ions, and of each carrier; empty where there are not both."""
    flagged = [name for name, species in (config.species or {}).items() if species.carrier]
    carriers = {name: [record.species.index(name)] for name in record.species if name in flagged}
    ions = [place for place, name in enumerate(record.species) if name not in carriers]
    return {IONS: ions, **carriers} if carriers and ions else {}


def carrier_conductivities(name: str, record: Record, config: Config, state: State, units: Units) -> Outcome:
    """Parts of the conductivity of the representation ``name``; they sum up to it, cross parts being 2 sigma_AB.

    Nothing where no species is a carrier. Raises EstimateError where T or V is not known, or with too little data.
    """
    groups = carrier_groups(record, config)
    if not groups:
        return Outcome((), (), ())
    require_state(state)
    rows = representation_weights(record, name)
    weights = np.stack([rows[places].sum(axis=0) for places in groups.values()])
    # the total first, so that it is as exact as it can be
    joint = flux_matrix(record, np.concatenate((weights.sum(axis=0, keepdims=True), weights)), ordered=1)
    words, number = list(groups), len(groups)
    pairs = [(a, b) for a in range(number) for b in range(a, number)]
    forms = np.zeros((len(pairs), number + 1, number + 1))
    for form, (a, b) in zip(forms, pairs, strict=True):
        form[1 + a, 1 + b] = 1.0 if a == b else 2.0
    values, covariance = joint.combination(forms)
    half = 0.5 * state.conductivity_scale
    results = [
        Result("carrier_conductivity", f"{name}, {words[a]}-{words[b]}", "onsager", half * float(value),
               half * float(variance) ** 0.5, units.label("S/m"), {"resolved": joint.resolved, "frame": record.frame})
        for (a, b), value, variance in zip(pairs, values, np.maximum(np.diag(covariance), 0.0), strict=True)
    ]  # fmt: skip
    return Outcome(tuple(results), (), ())
