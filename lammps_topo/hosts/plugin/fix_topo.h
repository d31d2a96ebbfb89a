// fix ID group topo N [config.yaml] [keyword value ...]
// Packs tag, unwrapped position, velocity, charge, force and other numbers of the group's atoms every N steps; Python
// sees whole blocks.

#ifndef LMP_FIX_TOPO_H
#define LMP_FIX_TOPO_H

#include "atom_values.h"
#include "fix.h"
#include "global_numbers.h"
#include "topo_link.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixTopo : public Fix {
 public:
  FixTopo(class LAMMPS *, int, char **);
  ~FixTopo() override;
  int setmask() override;
  void init() override;
  void setup(int) override;
  void initial_integrate(int) override;
  void end_of_step() override;
  void min_post_force(int) override;
  void post_run() override;
  void write_restart(FILE *) override;
  void restart(char *) override;
  double compute_vector(int) override;
  double memory_usage() override;

  // write what is measured and not written yet; once, at the end of the fix or of MPI, whichever comes first
  void leave();

 private:
  static constexpr int SUMS = 7;       // kinetic, momentum, moment: stream/block.py
  static constexpr int PRINTS = 12;    // of positions and velocities, and the sizes that their rounding is measured by

  TopoLink link;
  topo::GlobalNumbers numbers;
  topo::AtomValues atom_values;    // the force comes first, if it is wanted
  std::vector<std::string> words;
  std::vector<const char *> word_pointers;
  bigint last_sample;
  bigint vector_step;
  bool ready, failed, left;
  bool interrupted;    // SIGTERM has been obeyed
  bool ended;          // this run has been told to end, because what is wanted is known, and the next one not
  bool incomplete;    // the last sample was taken at setup, where later fixes have not added their forces yet

  // the system when the last run ended: another one at the next setup was edited in between
  bigint end_step;
  double end_sums[SUMS];
  std::vector<double> end_prints;    // empty after a restart, which does not know them

  // what ended the measurement where LAMMPS must not be stopped at once
  std::string trouble;

  // the block that is being filled
  std::vector<int64_t> steps, counts;
  std::vector<double> rows, sums, volumes, number_values;
  std::vector<double> values;    // of the global vector

  void call(int (*)(TopoLink *));
  void give_up(const std::string &);
  bool sigterm();
  void interrupt();
  void end_run();
  bool is_piece() const;
  int try_call(int (*)(TopoLink *));
  void clear_block();
  bool block_ends() const;
  void sample(bool awaits_force = false);
  void complete();
  void drop_incomplete();
  void check(const std::string &problem);
  void show_block();
  void deliver(int (*)(TopoLink *));
  void prepare();
  void add_sums(int, const double *, double *) const;
  void global_sums(double *) const;
  std::vector<double> fingerprint() const;
  bool was_edited() const;
  void watch_mpi_finalize();
};

}    // namespace LAMMPS_NS

#endif
