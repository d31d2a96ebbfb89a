"""Whether a state is one that a measurement can have written: its checksum says only that nobody touched it since.

Objects check what they are given when they put it in place; here is what they take as it is. See also
:func:`lammps_topo.record.inconsistency`, which does the same for results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stream.snapshot import KINDS, Snapshot

#: Steps and samples beyond which nothing counts.
_MOST = 1 << 62
#: What a system without velocities or degrees of freedom does not have.
_MAY_BE_NAN = "temperature"


def unfit(given: Snapshot, empty: Snapshot) -> str | None:
    """Why ``given`` cannot be the memory of an object whose memory is ``empty`` before its first sample; else None.

    Arrays have the types and numbers of dimensions that they have there, and its lengths, except where it has none:
    those grow.
    """
    return next(_misfits(given, empty), None)


def _misfits(given: Snapshot, empty: Snapshot) -> Iterator[str]:
    for kind in KINDS:
        for name, start in getattr(empty, kind).items():
            if name not in getattr(given, kind):
                yield f"'{name}' is missing"
            value, model = given[name], np.asarray(start)
            wanted = np.dtype(np.int64) if model.dtype.kind in "iub" else model.dtype
            if value.dtype != wanted:
                yield f"'{name}' is {value.dtype}, not {wanted}"
            long = [length for length, there in zip(value.shape, model.shape, strict=False) if there]
            if value.ndim != model.ndim or long != [there for there in model.shape if there]:
                yield f"'{name}' has the shape {value.shape}"
        for name in getattr(given, kind):
            yield from _in_numbers(name, given[name])


def _in_numbers(name: str, value: NDArray[Any]) -> Iterator[str]:
    parts = value if value.ndim > 1 else value[None]  # one after the other, for states are large
    if value.dtype.kind == "i":
        if any(((part < -1) | (part >= _MOST)).any() for part in parts):
            yield f"'{name}' has a number that counts nothing"
    elif _MAY_BE_NAN not in name and not all(np.isfinite(part).all() for part in parts):
        yield f"'{name}' has a number that is not finite"
    if name.endswith("counts") and any((part < 0).any() for part in parts):
        yield f"'{name}' has a negative count"


def lost(given: Snapshot, taken: Snapshot) -> str | None:
    """Why ``taken``, the memory of an object that got ``given``, is not the same; None if it is."""
    for kind in KINDS:
        ours, theirs = getattr(given, kind), getattr(taken, kind)
        if ours.keys() != theirs.keys():
            names = sorted(ours.keys() ^ theirs.keys())
            return f"'{names[0]}' belongs to nothing"
        for name, value in ours.items():
            other = np.asarray(theirs[name])
            if value.shape != other.shape or (value.dtype.kind == "i" and (value != other).any()):
                return f"'{name}' contradicts the rest"
    return None


def contradiction(samples: int, step: int, states: Mapping[str, Snapshot]) -> str | None:
    """Why parts of a state, which fit for themselves, do not belong together; None if they do.

    ``samples`` and the ``step`` of the last of them are those of the header.
    """
    return next(_contradictions(samples, step, states), None)


def _contradictions(samples: int, step: int, states: Mapping[str, Snapshot]) -> Iterator[str]:
    tally, assembly = states["tally"], states["assembly"]
    if tally.number("samples") != samples or tally.number("last_step") != step:
        yield f"it counts {tally.number('samples')} samples until step {tally.number('last_step')}"
    if "last_step" in assembly and assembly.number("last_step") != step:
        yield f"its atoms are those of step {assembly.number('last_step')}"
    if not 1 <= assembly.number("index") <= samples:
        yield f"its stretch has {assembly.number('index')} samples"
    if "volume" not in assembly or not float(assembly["volume"]) > 0 or float(tally["elapsed"]) < 0:
        yield "its volume or its duration is not positive"
    temperature = tally.part("temperature")
    yield from _in_batches("temperature", temperature, "count", samples)
    if (np.asarray(temperature["sums"]) < 0).any():  # NaN without velocities
        yield "its temperature is negative"
    yield from _in_frame(states["flux"], *tally["charge"].shape)
    for name, state in states.items():
        if "batches.clock" in state:
            batches = state.part("batches")
            yield from _in_batches(name, batches, "clock", samples)
            used = -(-samples // batches.number("length"))
            counts = [value for inner, value in state.shared.items() if inner.endswith("counts")]
            if any(len(value) != used for value in counts):
                yield f"'{name}' has other time batches than {used}"
        for inner in state.shared:
            if inner.endswith(("newest", "rebased")) and state.number(inner) >= samples:
                yield f"'{name}' remembers sample {state.number(inner)}"
    if "periodograms" in states:
        yield from _in_periodograms(states["periodograms"], samples)
    if "series" in states:
        yield from _in_series(states["series"], samples)


def _in_batches(name: str, state: Snapshot, count: str, samples: int) -> Iterator[str]:
    if state.number(count) != samples or not 1 <= state.number("length") < _MOST:
        yield f"'{name}' has {state.number(count)} samples in batches of {state.number('length')}"


def _in_frame(state: Snapshot, assignments: int, species: int) -> Iterator[str]:
    shapes = {"last": (species * (1 + assignments), 3), "last_charge": (assignments, species, 3, 3)}
    for name, shape in shapes.items():
        value = state.optional(name)
        if value is not None and (value.shape != shape or value.dtype.kind != "f"):
            yield f"'{name}' has the shape {value.shape}, not {shape}"


def _in_periodograms(state: Snapshot, samples: int) -> Iterator[str]:
    lengths = [2 * len(state[f"sums{which}"]) - 2 for which in range(len(state["segments"]))]
    for length, segments in zip(lengths, state["segments"].tolist(), strict=True):
        if not 0 <= segments * length <= samples:
            yield f"it has {segments} segments of {length} samples"
    if len(state["buffer"]) >= lengths[-1]:
        yield f"a segment of {lengths[-1]} samples has begun with {len(state['buffer'])}"


def _in_series(state: Snapshot, samples: int) -> Iterator[str]:
    if {len(state[name]) for name in ("steps", "flux", "moment", "temperature")} != {samples}:
        yield "its series has other samples"
    begins = state["stretches"]
    if not len(begins) or begins[0] != 0 or begins[-1] >= samples or not (np.diff(begins) > 0).all():
        yield "the stretches of its series do not follow one another"
