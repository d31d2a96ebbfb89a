"""Door 4, first half: trajectories that exist already, as a stream of frames in bounded memory."""

from lammps_topo.hosts.trajectory.frame import TrajectoryFrame
from lammps_topo.hosts.trajectory.reader import open_trajectory
from lammps_topo.hosts.trajectory.unwrap import Unwrapper

__all__ = ["TrajectoryFrame", "Unwrapper", "open_trajectory"]
