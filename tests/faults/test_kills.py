"""A few of the random kills of ``make soak``: whatever is left can be read, and what continues from it is right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lmp_kills
import replay_kills

SEED = 20250722


def show(figures):
    print(f"seed {SEED}:", *(f"{name}: {number}" for name, number in sorted(figures.items())), sep="\n  ")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_killed_while_a_trajectory_is_measured(tmp_path):
    """Continued to the end, it is the uninterrupted measurement to the last bit."""
    figures = replay_kills.campaign(tmp_path, SEED, 12)
    show(figures)
    assert sum(number for name, number in figures.items() if name.endswith("recovered")) >= 12


def test_killed_while_lammps_runs_on_two_ranks(lmp, tmp_path):
    """All ranks, or one of them; continued with LAMMPS's restart files, every number is that of the undisturbed run."""
    figures = lmp_kills.campaign(tmp_path, SEED, 4)
    show(figures)
    assert figures["lmp, recovered"] >= 4
