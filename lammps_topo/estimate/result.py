"""What estimators report: single numbers with error bars, and curves."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Points of a curve in the results file at most; more do not show in a figure.
CURVE_POINTS = 1000


@dataclasses.dataclass(frozen=True)
class Result:
    """A number with its error bar, in the unit it is shown in.

    Attributes
    ----------
    quantity : such as ``conductivity``
    of : what it belongs to: a representation, a species, ``system``
    method : such as ``cepstral``
    value, error : one standard deviation; NaN where it is not known
    unit : SI, or ``reduced`` for ``units lj``
    details : everything about how it was obtained
    """

    quantity: str
    of: str
    method: str
    value: float
    error: float
    unit: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null, details stand beside the other keys."""
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "details"}
        return {key: _plain(value) for key, value in {**own, **self.details}.items()}

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Result:
        own = {item.name for item in dataclasses.fields(cls)} - {"details"}
        value, error = (math.nan if entry[name] is None else float(entry[name]) for name in ("value", "error"))
        return cls(
            quantity=entry["quantity"],
            of=entry["of"],
            method=entry["method"],
            value=value,
            error=error,
            unit=entry["unit"],
            details={key: value for key, value in entry.items() if key not in own},
        )


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line of a figure. ``figure`` says which one it belongs to; ``error`` is a one-sigma band.

    Attributes
    ----------
    name : unique; figure : where it is drawn; label : in the legend
    x, y, error : (L,); x_label, y_label : with units
    """

    name: str
    figure: str
    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x_label: str
    y_label: str
    error: NDArray[np.float64] | None = None
    style: str = "line"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All results and curves of a measurement, and remarks on what could not be estimated."""

    results: tuple[Result, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]


def thinned(length: int) -> NDArray[np.int64]:
    """Which points of a long curve to keep: the first ones all, then evenly on a logarithmic axis."""
    if length <= CURVE_POINTS:
        return np.arange(length)
    dense = CURVE_POINTS // 4
    later = np.rint(np.geomspace(dense, length - 1, CURVE_POINTS - dense)).astype(np.int64)
    return np.concatenate((np.arange(dense), np.unique(later[later >= dense])))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    return value
