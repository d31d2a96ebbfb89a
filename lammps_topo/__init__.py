"""lammps_topo: ionic charge transport while LAMMPS runs."""

__version__ = "0.1.0"
