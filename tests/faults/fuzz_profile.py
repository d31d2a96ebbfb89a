"""A plugin of pytest for ``make soak``: hypothesis gives a test LAMMPS_TOPO_FUZZ inputs, unless it says otherwise."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("LAMMPS_TOPO_FUZZ", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fuzz")
