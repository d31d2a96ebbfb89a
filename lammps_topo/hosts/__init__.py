"""The doors: each delivers samples of a run (or of a trajectory) to a measurement."""
