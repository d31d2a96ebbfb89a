"""From samples packed by a host to blocks of atoms owned by tag."""
