"""The tables of results at the head of the page: which numbers stand beside one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from ..estimate.result import Result
from .wording import DOUBT, STATE, by_quantity, essentials, method_text, quantity_text, quantity_with_unit

Cell = list[tuple[str, str, bool]]
Name = Callable[[Result], str]


@dataclasses.dataclass(frozen=True)
class Table:
    """Results side by side; a cell is a list of (number with error, details, whether to doubt it)."""

    title: str
    lead: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


@dataclasses.dataclass(frozen=True)
class _Group:
    """Quantities that share a table, a column each."""

    title: str
    lead: str
    quantities: tuple[str, ...]
    row: Name
    column: Name


_LEADS = {
    "conductivity": "Spectrum, Einstein-Helfand and Green-Kubo estimate one and the same number from the same "
    "current, and should agree within their errors; Nernst-Einstein is what the ions would conduct if they moved "
    "independently of one another.",
    "partial_conductivity": "Pairs of species and, with ‘all’, their sums over the other species, in the frame of the "
    "currents; an unlike pair counts twice in the total, which is the sum over species.",
    "constant_charge": "The charges by species that describe the current best at zero frequency, neutral together; an "
    "integer is named where the data support it.",
    "carrier_conductivity": "Ions against the species that are marked as carriers; a cross part counts twice, so that "
    "they sum up to the conductivity.",
    "transference_number": "Share of a species in the conductivity, in the frame of the currents. In the barycentric "
    "frame of a binary salt it is a ratio of masses.",
    "conductivity_tensor": "From the Cartesian components of the current as fluxes of their own.",
    "dielectric_constant": "From the fluctuations of a dipole that stays bounded: of these charges only, without what "
    "electrons add.",
    "thermal_conductivity": "Of a mixture: with the particle fluxes eliminated at zero frequency, which is heat "
    "conduction without diffusion and does not depend on the zeros of energy. The energy flux alone has another value, "
    "which does.",
    "thermal_conductivity_difference": "Between energy fluxes, with the error of the difference. Energies by atom are "
    "not unique, thermal conductivities are: it should be zero.",
    "seebeck_coefficient": "Electric field over temperature gradient at zero current. It holds the zeros of energy of "
    "the species: the energy flux is taken as it is streamed.",
    "viscosity": "From the five independent components of the pressure tensor.",
    "haven_ratio": "Conductivity of independent ions (Nernst-Einstein) over the conductivity from the spectrum.",
    "mobility": "Of independent ions, from the diffusion coefficient: q D/(kB T).",
    "friction": "The integral of the memory kernel, its tail included; beside it kB T/D with D from the mean square "
    "displacement and from the velocity autocorrelation. Where an ion diffuses, they should agree.",
}
_METHOD_ORDER = ("spectral", "cepstral", "einstein", "green-kubo", "nernst-einstein")
_FUNCTIONS = {"vacf": "velocity", "facf": "force"}


def _of(result: Result) -> str:
    return result.of


def _method(result: Result) -> str:
    return method_text(result.method)


def _quantity(result: Result) -> str:
    return quantity_text(result.quantity)


def _function(result: Result) -> str:
    return f"{result.of}, {_FUNCTIONS.get(result.method, method_text(result.method))}"


def _frame(result: Result) -> str:
    return f"{result.details.get('frame', 'any')} frame"


_COMPARISONS = {
    "gauge": "verdict",
    "conductivity_difference": "difference",
    "gauge_growth": "current a − b",
    "coherence": "coherence",
}
_GROUPS = (
    _Group(
        "Comparison of charge representations",
        "The verdicts hold together with the confidence that is given. Difference: of the conductivities, with its own "
        "error; current a − b: what it conducts by itself, from the lowest sines of the displaced dipoles and from "
        "their growth. Both should be zero for equivalent charges, and the coherence 1.",
        ("gauge", "conductivity_difference", "gauge_growth", "coherence"),
        _of,
        lambda result: _COMPARISONS.get(result.quantity, _quantity(result)),
    ),
    _Group(
        "Memory kernel",
        "Γ(0) from the kernel and from the forces, kB T⟨a²⟩/⟨v²⟩² with a = F/m (⟨F²⟩/(kB T) where m⟨v²⟩ is kB T): "
        "they should agree; memory time: γ/Γ(0).",
        ("initial_kernel", "memory_time"),
        _of,
        lambda result: {
            ("initial_kernel", "kernel"): "Γ(0), memory kernel",
            ("initial_kernel", "force"): "Γ(0), mean square force",
            ("memory_time", "kernel"): "memory time",
        }.get((result.quantity, result.method), f"{_quantity(result)}, {_method(result)}"),
    ),
    _Group(
        "Autocorrelation functions",
        "Of velocities and of forces: the first zero, and the deepest point.",
        ("zero_crossing", "minimum", "minimum_time"),
        _function,
        _quantity,
    ),
    _Group(
        "Checks",
        "Equipartition should give 1 but for the motion of the frame, and so should the force spectrum that the memory "
        "kernel predicts, over the measured one; the integral of the force autocorrelation should be 0 for an ion that "
        "nothing restrains. The last number is the largest deviation of C_v by the generalised Langevin equation (GLE) "
        "with the Prony series.",
        ("equipartition", "force_integral", "kernel_consistency", "gle_deviation"),
        _of,
        _quantity,
    ),
)


#: Quantities whose tables stand in a section of their own.
CHARGES = (*_COMPARISONS, "constant_charge", "carrier_conductivity")


def tables(results: Sequence[Result], frame: str) -> list[Table]:
    """All results but those of the state; ``frame`` is that of the currents, said at the head of the page."""
    found, told = by_quantity(results), f"{frame} frame"
    made = []
    for quantity, group_results in found.items():
        group = next((one for one in _GROUPS if quantity in one.quantities), None)
        if quantity in STATE:
            continue
        if group is None:
            made.append(_table(quantity, group_results, told))
        elif quantity == next(name for name in group.quantities if name in found):
            parts = [result for name in group.quantities for result in found.get(name, [])]
            made.append(Table(group.title, group.lead, *_pivot(parts, group.row, group.column, told)))
    return made


def _table(quantity: str, results: list[Result], told: str) -> Table:
    """Results of one quantity."""
    row, column = _of, _method
    if quantity == "conductivity":
        order = {method: index for index, method in enumerate(_METHOD_ORDER)}
        results = sorted(results, key=lambda result: order.get(result.method, len(order)))
        row, column = _method, _of
    elif quantity == "friction":
        results = sorted(results, key=lambda result: result.method != "kernel")
    elif quantity == "thermal_conductivity":
        results = sorted(results, key=lambda result: result.method != "spectral")
    elif quantity == "diffusion":
        several = len({result.method for result in results}) > 1
        column = (lambda result: f"{_method(result)}, {_frame(result)}") if several else _frame
    title = quantity_text(quantity)
    return Table(title[:1].upper() + title[1:], _LEADS.get(quantity, ""), *_pivot(results, row, column, told))


def _pivot(
    results: Iterable[Result], row_of: Name, column_of: Name, told: str
) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """Columns and rows; details that the column's title or the head of the page (``told``) says are left out."""
    results = list(results)
    columns = list(dict.fromkeys(column_of(result) for result in results))
    rows: dict[str, list[Cell]] = {}
    for result in results:
        column = column_of(result)
        cells = rows.setdefault(row_of(result), [[] for _ in columns])
        said = {told, *column.split(", ")}
        shown = ", ".join(part for part in essentials(result) if part not in said)
        cells[columns.index(column)].append((quantity_with_unit(result), shown, DOUBT in shown))
    return columns, list(rows.items())
