#!/usr/bin/env python3
"""Write the LAMMPS pair table of the Vashishta-Rahman potential of silver iodide (units metal).

Tabulated is the short-range part only,

    phi(r) = H/r^n - P/r^4 - W/r^6        P_ij = (alpha_i q_j^2 + alpha_j q_i^2) e^2 / 2

with the parameters of Parrinello, Rahman and Vashishta, Phys. Rev. Lett. 50, 1073 (1983). The Coulomb part,
q = +0.6 (Ag) and -0.6 (I), is left to `pair_style coul/long` and a k-space solver. With the force shift
(the default) both phi and its derivative go to zero at the cut-off rc:

    phi(r) - phi(rc) - (r - rc) phi'(rc)

Only Python's standard library is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

E2 = 14.399645
"""e^2/(4 pi eps0) in eV A: the value LAMMPS uses in units metal."""

CHARGE = {"Ag": +0.6, "I": -0.6}
"""Charges in units of e."""

POLARIZABILITY = {"Ag": 0.0, "I": 6.52}
"""Electronic polarizabilities alpha in A^3."""


class Pair(NamedTuple):
    """Parameters of one pair of species, lengths in A and energies in units of e^2/A."""

    first: str
    second: str
    n: int
    """Exponent of the repulsion."""
    h: float
    """Strength of the repulsion, e^2 A^(n-1)."""
    w: float
    """Strength of the dispersion, e^2 A^5."""

    @property
    def name(self) -> str:
        """Keyword of the section in the table file."""
        return f"{self.first}-{self.second}"

    @property
    def p(self) -> float:
        """Charge-induced dipole term, e^2 A^3."""
        a, b = self.first, self.second
        return 0.5 * (POLARIZABILITY[a] * CHARGE[b] ** 2 + POLARIZABILITY[b] * CHARGE[a] ** 2)

    def unshifted(self, r: float) -> tuple[float, float]:
        """Energy (eV) and force -dphi/dr (eV/A) of the untruncated short-range part at distance r (A)."""
        energy = self.h / r**self.n - self.p / r**4 - self.w / r**6
        force = self.n * self.h / r ** (self.n + 1) - 4 * self.p / r**5 - 6 * self.w / r**7
        return E2 * energy, E2 * force

    def force_derivative(self, r: float) -> float:
        """dF/dr (eV/A^2) at distance r (A), the same with and without shift."""
        n = self.n
        return -E2 * (n * (n + 1) * self.h / r ** (n + 2) - 20 * self.p / r**6 - 42 * self.w / r**8)

    def shifted(self, r: float, rc: float) -> tuple[float, float]:
        """Energy (eV) and force (eV/A) at distance r (A), force-shifted at rc (A)."""
        energy, force = self.unshifted(r)
        energy_rc, force_rc = self.unshifted(rc)
        return energy - energy_rc + (r - rc) * force_rc, force - force_rc


PAIRS = (
    Pair("Ag", "Ag", n=11, h=0.014804, w=0.0),
    Pair("Ag", "I", n=9, h=114.48, w=0.0),
    Pair("I", "I", n=7, h=446.64, w=6.9331),
)


def lines(points: int, rmin: float, rc: float, *, force_shift: bool) -> Iterator[str]:
    """Yield the lines of the table file, three sections of `points` distances equally spaced in r."""
    truncation = "force-shifted" if force_shift else "plainly cut"
    yield (
        "# UNITS: metal CITATION: Parrinello, Rahman, Vashishta, Phys. Rev. Lett. 50, 1073 (1983)"
        " (short-range part of alpha-AgI)"
    )
    yield f"# {truncation} at {rc:g} A; without Coulomb; columns: index, r (A), energy (eV), force (eV/A)"
    yield f"# made by: make_table.py --points {points} --rmin {rmin:g} --cutoff {rc:g}" + (
        "" if force_shift else " --no-force-shift"
    )
    for pair in PAIRS:
        slopes = (pair.force_derivative(rmin), pair.force_derivative(rc))
        yield ""
        yield pair.name
        yield f"N {points} R {rmin:.10g} {rc:.10g} FPRIME {slopes[0]:.12g} {slopes[1]:.12g}"
        yield ""
        for k in range(points):
            r = rmin + (rc - rmin) * k / (points - 1)
            energy, force = pair.shifted(r, rc) if force_shift else pair.unshifted(r)
            yield f"{k + 1} {r:.8f} {energy:.12g} {force:.12g}"


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description="Write the LAMMPS pair table of the Vashishta-Rahman potential of AgI (units metal).",
        epilog="example: make_table.py --cutoff 7.5 --output agi.rc7.5.table",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--points", type=int, default=2000, help="distances per pair of species")
    parser.add_argument("--rmin", type=float, default=1.0, help="smallest distance, A")
    parser.add_argument("--cutoff", type=float, default=10.0, help="cut-off, A")
    parser.add_argument(
        "--force-shift",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let energy and force go to zero at the cut-off",
    )
    parser.add_argument("--output", type=Path, default=Path("agi.table"), help="file to write")
    args = parser.parse_args(argv)
    if args.points < 100:
        parser.error(f"--points is {args.points}; at least 100 are needed")
    if not 0.5 <= args.rmin < args.cutoff:
        parser.error(f"--rmin is {args.rmin:g}; allowed is 0.5 A up to the cut-off, {args.cutoff:g} A")
    text = "\n".join(lines(args.points, args.rmin, args.cutoff, force_shift=args.force_shift)) + "\n"
    args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
