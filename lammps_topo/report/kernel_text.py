"""A memory kernel as text: its numbers for a terminal, its curve for a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..estimate.kernel_table import KernelTable
from ..store import replace_file
from .wording import essentials, number, one_line, quantity_text, quantity_with_unit


def describe(table: KernelTable, name: str) -> str:
    """Friction, Γ(0), memory time and diffusion coefficient, a line each; what to heed below."""
    results = table.results(name)
    width = max(len(quantity_text(result.quantity)) for result in results)
    lines = [one_line(f"memory kernel of {name}")]
    for result in results:
        value, how = quantity_with_unit(result), ", ".join(essentials(result))
        lines.append(f"  {quantity_text(result.quantity).ljust(width)}  {value}" + (f"  ({how})" if how else ""))
    kernel, units = table.kernel, table.units
    lines.append(f"  {kernel.sampled} lags, {number(kernel.lag[1] * units.picosecond)} {units.time_label} apart")
    lines += [f"note: {note}" for note in table.notes]
    if not kernel.plateau > 0:
        lines.append("note: the integral of this kernel is not positive: it is no friction")
    if not kernel.decayed:
        lines.append("note: the memory has not decayed within the window; longer correlations are needed")
    if kernel.coarse:
        lines.append("note: the interval between lags is too coarse for this kernel; it changes the result")
    return "\n".join(lines)


def write_table(path: Path, table: KernelTable, name: str) -> None:
    """Write t, Γ(t), ∫Γ and their errors in columns. Raises FileError."""
    headings, columns = table.columns()
    text = io.StringIO()
    np.savetxt(text, columns, fmt="%.9g", header=f"memory kernel of {one_line(name)}\n" + ", ".join(headings))
    replace_file(path, text.getvalue().encode())
