"""Estimators: pure functions from arrays to frozen results; they know neither LAMMPS nor the accumulators."""
