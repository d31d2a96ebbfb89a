"""Figure of snapshots with electronic centres: dipoles of ions, distances, rotor functions, and g(r, θ)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..centres.analysis import CentreAnalysis
from ..errors import FileError
from ..estimate.result import Curve
from .drawing import COLOURS, legend, line, name_axes, panels, settings, short_text

PICTURES = (".png", ".svg", ".pdf")
_FIGURES = ("dipole", "distance", "rotor")


def draw_centres(path: Path, analysis: CentreAnalysis) -> None:
    """Write the picture; bands are one standard error. Raises FileError."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(f"the figure '{path}' must end in one of {', '.join(PICTURES)}")
    curves = analysis.outcome.curves
    shown = [name for name in _FIGURES if any(curve.figure == name for curve in curves)]
    joint = list(analysis.joint.items())[:1]
    number = len(shown) + len(joint)
    with settings():
        rows = -(-number // 2)
        figure, axes = panels(rows, 2, height=2.8 * rows + 0.3)
        figure.set_layout_engine("constrained")  # before the colour bar, which is made for one engine or the other
        species = list(dict.fromkeys(curve.label for curve in curves))
        for panel, name in zip(axes, shown, strict=False):
            for curve in curves:
                if curve.figure == name:
                    _draw(panel, curve, COLOURS[species.index(curve.label) % len(COLOURS)])
            # a narrow distribution is cut off rather than the others flat
            panel.set_ylim(0.0, 1.6 * min(float(curve.y.max()) for curve in curves if curve.figure == name))
        for panel, ((cation, anion), found) in zip(axes[len(shown) :], joint, strict=False):
            image = panel.pcolormesh(found.r_edges, found.angle_edges, np.log10(1.0 + found.g.T), cmap="viridis")
            panel.grid(False)
            figure.colorbar(image, ax=panel, label="log₁₀(1 + g)")
            name_axes(panel, f"{cation} to centre of {anion} (Å)", f"{cation}–centre–{anion} (°)")
        for panel in axes[number:]:
            panel.set_visible(False)
        short_text(axes[0], "distributions over ions")
        legend(figure, [(line(COLOURS[k % len(COLOURS)]), name) for k, name in enumerate(species)])
        try:
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise FileError(f"'{path}' cannot be written: {error.strerror or error}") from None


def _draw(axes: Axes, curve: Curve, colour: str) -> None:
    axes.plot(curve.x, curve.y, color=colour, linewidth=1.5)
    if curve.error is not None:
        axes.fill_between(curve.x, curve.y - curve.error, curve.y + curve.error, color=colour, alpha=0.25, linewidth=0)
    name_axes(axes, curve.x_label, curve.y_label)
