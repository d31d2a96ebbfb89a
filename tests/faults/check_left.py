"""What a killed program must have left."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from lammps_topo.cli import main
from lammps_topo.generations import generations
from lammps_topo.state_file import verify_state


def check_left(path: Path, *, results: bool) -> int:
    """``lammps-topo check`` finds no fault with the results file, and every generation of the state can be read.

    ``results`` says that there was a results file before: then there is one now. Returns the number of generations.
    """
    # in the middle of a rename an earlier file may stand aside, but it must be somewhere
    found = [path] if path.exists() else sorted(path.parent.glob(f"{path.name.split('.')[0]}.*.topo.h5"))
    assert found or not results, f"{path} is gone"
    if found:
        checked = CliRunner().invoke(main, ["check", *map(str, found)])
        assert checked.exit_code == 0, checked.output
    for state in (states := generations(path)):
        verify_state(state)
    return len(states)
