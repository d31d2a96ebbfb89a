"""The subcommands of ``lammps-topo``; what they need is imported when they run, so that the program starts at once."""
