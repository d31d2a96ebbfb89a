"""Running sums over blocks; they know neither LAMMPS nor what is made of their sums."""
