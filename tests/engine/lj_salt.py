"""A charged Lennard-Jones crystal of two species, whose tags have gaps."""

SALT = """
units metal
atom_style charge
atom_modify map array
timestep 0.002
lattice fcc 5.3
region box block 0 3 0 3 0 3
create_box 2 box
create_atoms 1 box basis 1 1 basis 2 2
mass 1 40.0
mass 2 20.0
set type 1 charge 0.5
set type 2 charge -0.5
pair_style lj/cut 6.0
pair_coeff * * 0.02 3.4
pair_coeff 1 1 0.04 3.6
"""

GAPS = """\
group gone id 5 17
delete_atoms group gone compress no
"""
