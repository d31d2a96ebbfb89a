#!/usr/bin/env python3
"""Potentials side by side, from their results files: a table of numbers, and C_v, C_F and Γ of Ag in one figure."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lammps_topo import read_results
from lammps_topo.store import Results

ROWS = (
    ("T (K)", "temperature", "system", "measured", 1.0),
    ("D (10⁻⁹ m²/s), MSD", "diffusion", "Ag", "msd", 1e9),
    ("D (10⁻⁹ m²/s), C_v", "diffusion", "Ag", "vacf", 1e9),
    ("γ = ∫Γ dt (10⁻¹² kg/s)", "friction", "Ag", "kernel", 1e12),
    ("γ = k_B T/D, D from the MSD", "friction", "Ag", "msd", 1e12),
    ("Γ(0) (N/m)", "initial_kernel", "Ag", "kernel", 1.0),
    ("τ_Γ = γ/Γ(0) (fs)", "memory_time", "Ag", "kernel", 1e3),
    ("C_v: zero (fs)", "zero_crossing", "Ag", "vacf", 1e3),
    ("C_v: minimum (fs)", "minimum_time", "Ag", "vacf", 1e3),
    ("C_v: value at the minimum", "minimum", "Ag", "vacf", 1.0),
    ("C_F: zero (fs)", "zero_crossing", "Ag", "facf", 1e3),
    ("C_F: minimum (fs)", "minimum_time", "Ag", "facf", 1e3),
    ("C_F: value at the minimum", "minimum", "Ag", "facf", 1.0),
    ("∫C_F/∫\\|C_F\\|", "force_integral", "Ag", "facf", 1.0),
    ("σ with Z = 1 (S/m), spectral", "conductivity", "oxidation", "spectral", 1.0),
    ("σ with Z = 1 (S/m), Einstein-Helfand", "conductivity", "oxidation", "einstein", 1.0),
    ("σ with Z = 1 (S/m), Nernst-Einstein", "conductivity", "oxidation", "nernst-einstein", 1.0),
    ("Haven ratio", "haven_ratio", "oxidation", "nernst-einstein/spectral", 1.0),
)
"""Name, quantity, of, method, factor to what is shown."""

PANELS = (
    ("velocity/time/Ag", 1.0, (0.0, 1.0), "time (ps)", "C_v(t) of Ag"),
    ("velocity/frequency/Ag", 1.0, (0.0, 8.0), "frequency (THz)", "its spectrum (ps)"),
    ("force/time/Ag", 1.0, (0.0, 0.6), "time (ps)", "C_F(t) of Ag, over C_F(0)"),
    ("force/frequency/Ag", 1.0, (0.0, 8.0), "frequency (THz)", "its spectrum (ps)"),
    ("memory/kernel/Ag", 1.0, (0.0, 1.0), "time (ps)", "Γ(t) of Ag (N/m)"),
    ("friction/running/Ag", 1e12, (0.0, 4.0), "time (ps)", "∫Γ dt (10⁻¹² kg/s)"),
)
"""Curve, factor, limits of the abscissa, labels."""


def shown(value: float, error: float) -> str:
    """`3.25 ± 0.08`, with two digits of the error."""
    if not math.isfinite(value):
        return "–"
    if not error > 0:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def table(files: dict[str, Results]) -> str:
    """Markdown, a column a file."""
    lines = [f"| Ag | {' | '.join(files)} |", "|---" * (1 + len(files)) + "|"]
    for name, quantity, of, method, factor in ROWS:
        cells = []
        for results in files.values():
            found = [r for r in results.outcome.results if (r.quantity, r.of, r.method) == (quantity, of, method)]
            resolved = "" if not found or found[0].details.get("resolved", True) else ", not resolved"
            cells.append(shown(factor * found[0].value, factor * found[0].error) + resolved if found else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(files: dict[str, Results]) -> Figure:
    """Correlations left, their spectra right; then the memory kernel and its integral. Bands of one error."""
    drawn = Figure(figsize=(8.0, 8.4), layout="constrained")
    for axes, (name, factor, limits, x_label, y_label) in zip(drawn.subplots(3, 2).ravel(), PANELS, strict=True):
        axes.axhline(0.0, color="0.4", linewidth=0.8)
        for k, results in enumerate(files.values()):
            for curve in results.outcome.curves:
                if curve.name == name:
                    near = curve.x <= 1.02 * limits[1]
                    x, y = curve.x[near], factor * curve.y[near]
                    axes.plot(x, y, color=f"C{k}", linewidth=1.5)
                    if curve.error is not None:
                        error = factor * curve.error[near]
                        axes.fill_between(x, y - error, y + error, color=f"C{k}", alpha=0.25, linewidth=0.0)
        axes.set(xlim=limits, xlabel=x_label, ylabel=y_label)
    names = [Line2D([], [], color=f"C{k}", label=name) for k, name in enumerate(files)]
    drawn.axes[0].legend(handles=names, frameon=False)
    return drawn


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: compare.py agi-vr.topo.h5 agi-mliap.topo.h5 --names Vashishta-Rahman learned -o overlay.svg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", help="results files of fix topo, or of lammps-topo merge")
    parser.add_argument("--names", nargs="+", help="of the columns and curves (the files' names)")
    parser.add_argument("-o", "--output", type=Path, help="figure: .svg, .png, .pdf")
    args = parser.parse_args(argv)
    names = args.names or [path.name.partition(".")[0] for path in args.files]
    if len(set(names)) != len(args.files):
        parser.error(f"{len(args.files)} files want as many different names; there are {len(set(names))}")
    files = dict(zip(names, (read_results(path) for path in args.files), strict=True))
    print(table(files))
    if args.output:
        figure(files).savefig(args.output)
        print(f"written: {args.output}")


if __name__ == "__main__":
    main()
