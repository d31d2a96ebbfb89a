"""The dipole that is displaced along a loop, in units of charge times cell vector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FileError
from ..topology.loop import Loop
from .drawing import COLOURS, FAINT, INK, legend, line, name_axes, panels, settings, short_text

PICTURES = (".png", ".svg", ".pdf")
_STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
#: Components below this are not drawn where others are above.
_NOTHING = 1e-3


def draw_loops(path: Path, loops: Sequence[Loop], names: Sequence[str]) -> None:
    """A panel for each loop: Δμ_α/eL against the part of the path that is done. Raises FileError."""
    if path.suffix.lower() not in PICTURES:
        raise FileError(f"the figure '{path}' must end in one of {', '.join(PICTURES)}")
    with settings():
        figure, all_axes = panels(len(loops), height=0.6 + 2.7 * len(loops))
        shown: dict[str, object] = {}
        for axes, loop, name in zip(all_axes, loops, names, strict=True):
            axes.axhline(0.0, color=INK, linewidth=0.8)
            for place, charge in enumerate(loop.charges):
                part = np.linspace(0.0, 1.0, len(charge.dipole))
                moving = [axis for axis in range(3) if np.abs(charge.dipole[:, axis]).max() > _NOTHING] or [0]
                for axis in moving:
                    colour, style = COLOURS[place % len(COLOURS)], _STYLES[axis]
                    axes.plot(part, charge.dipole[:, axis], color=colour, linestyle=style, linewidth=1.8)
                    shown[f"{charge.representation}, along {'abc'[axis]}"] = line(colour, linestyle=style)
                    axes.plot([1.0], [charge.charge[axis]], "o", color=colour, markersize=5.5, clip_on=False)
                    axes.axhline(round(float(charge.charge[axis])), color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
            axes.set_xlim(0.0, 1.0)
            if len(loops) > 1:
                short_text(axes, name)
            name_axes(axes, "part of the path", "Δμ / (e × cell vector)")
        legend(figure, [(handle, label) for label, handle in shown.items()])
        try:
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise FileError(f"'{path}' cannot be written: {error.strerror or error}") from None
