// The contract between the fix (C++) and lammps_topo.hosts.native (Python, ctypes): one plain C struct for each fix.
// Any change here is a change of TOPO_LINK_VERSION and of the ctypes mirror.

#ifndef TOPO_LINK_H
#define TOPO_LINK_H

#include <cstdint>

#define TOPO_LINK_VERSION 9
#define TOPO_MESSAGE_LENGTH 4096
#define TOPO_NAME_LENGTH 40

extern "C" {

struct TopoLink {
  int32_t version;    // TOPO_LINK_VERSION
  int32_t size;       // sizeof(TopoLink)

  // what the fix line and LAMMPS say, set by the fix before create()
  int32_t ranks, rank;
  int32_t mpi_comm;    // Fortran handle of LAMMPS's communicator
  int32_t has_charge, has_molecule;
  int32_t world;    // number of this partition, -1 if there is only one
  int32_t words;    // of the fix line behind N
  int32_t new_stretch;    // the next samples do not continue the last ones
  const char **word;
  const char *id, *group, *units, *lammps;
  int64_t every;
  double timestep;
  double pressure_volume;    // pressure times volume in an energy

  // what the measurement wants, set by create()
  int32_t want_velocity, want_charge, want_force;
  int32_t vector_length;
  const char *force;    // "total", or a part of it: a per-atom vector of LAMMPS, c_ID, f_ID or d2_NAME; Python's memory
  int64_t want_numbers;    // global numbers of LAMMPS, and the keys that ask for them: global_numbers.h; Python's memory
  const char **number, **number_key;
  int64_t want_values;    // per-atom numbers of LAMMPS besides the force: atom_values.h; Python's memory
  const char **value, **value_key;
  const int32_t *value_columns;
  int32_t want_molecules;    // molecules and charges at setup()
  int64_t block;        // samples in a block, set by setup()
  int32_t on_sigterm;    // what SIGTERM leads to: nothing (0), a checkpoint (1), a checkpoint and the end of the run (2)
  int32_t goes_on;       // what ends the measurement does not end the run
  int32_t path;          // every run begins with a sample of its own: the samples are points of a path
  int64_t checkpoint_steps;    // a block ends at multiples of this, 0: wherever it is full

  // the group's atoms on this rank, set by the fix before setup()
  int64_t atoms;
  const int64_t *tag;
  const int32_t *type;
  const double *mass;    // set before setup() only
  double total_mass;    // of all atoms of the system on this rank
  double degrees_of_freedom;    // as compute temp counts them
  const double *position;       // unwrapped, set before setup() only
  const int64_t *molecule;      // set before setup() only, if want_molecules
  const double *charge;         // the same, where there are charges
  int64_t other_atoms;          // of this rank outside the group
  const int64_t *other_molecule;    // as molecule
  double system[7];             // sums over all atoms of all ranks: stream/block.py
  int64_t now;                  // the timestep

  // the record of this fix in the restart file that was read
  int32_t restarted;    // 1 if there is one, −1 if there is one that is not understood
  int32_t restart_edited;    // the system was changed between its last sample and the writing
  int64_t restart_step;
  char restart_state[TOPO_NAME_LENGTH];    // the state that was written with it, empty if there was none

  // set by setup() and save(): the newest state, the measurement, and the last sample, −1 if there is none
  char state[TOPO_NAME_LENGTH], measurement[TOPO_NAME_LENGTH], restart_measurement[TOPO_NAME_LENGTH];
  int64_t last_sample;

  // a block of samples, set by the fix before take(), finish() and close(); empty when it has been taken
  int64_t samples, rows, width;
  double cell[9];    // lattice vectors as rows, at the last sample
  const int64_t *step, *count;
  const double *row, *sums, *volume;
  const double *numbers;    // want_numbers for each sample

  int32_t ends_run;    // what is wanted is known, set by take() and save(); the fix takes it back

  // results
  double *vector;    // vector_length numbers for thermo output, filled by vector_update()
  double bytes;      // memory held by the measurement on this rank
  char message[TOPO_MESSAGE_LENGTH];    // why a call returned non-zero: the same text on every rank
  char notice[TOPO_MESSAGE_LENGTH];     // lines for the log, printed by rank 0

  // set by connect(), null when Python has gone; all are collective and return 0 or, with a message, 1
  int (*create)(TopoLink *);
  int (*setup)(TopoLink *);
  int (*take)(TopoLink *);
  int (*vector_update)(TopoLink *);
  int (*save)(TopoLink *);      // takes the block, too, and writes the state
  int (*interrupt)(TopoLink *);    // SIGTERM: takes the block, too, and writes state and results
  int (*finish)(TopoLink *);       // end of a run
  int (*close)(TopoLink *);     // end of the fix: writes what is not written yet
};
}

#endif
