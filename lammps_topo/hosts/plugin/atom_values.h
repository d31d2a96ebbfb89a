// Numbers of each atom that LAMMPS has, by name: d_NAME, d2_NAME, c_ID, c_ID[i], f_ID, f_ID[i]; total is the force.

#ifndef TOPO_ATOM_VALUES_H
#define TOPO_ATOM_VALUES_H

#include "pointers.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {
class Compute;
class Fix;
}

namespace topo {

class AtomValues : protected LAMMPS_NS::Pointers {
 public:
  explicit AtomValues(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  // source has one of the forms above and gives so many columns; key is the one of the configuration that asks for it
  void add(const char *key, const char *source, int columns);
  bool empty() const { return wanted.empty(); }
  int width() const;    // columns of all of them

  // Why the fix `reader` cannot have them: empty, or a sentence. The same on all ranks.
  std::string problem(const LAMMPS_NS::Fix *reader) const;

  // Computes that are summed up while forces are computed must know the step: samples may be taken from `now` on.
  void expect(LAMMPS_NS::bigint now, int every) const;

  // The values of this step are there for pack(); computes are told when they are wanted next. Collective.
  void evaluate(LAMMPS_NS::bigint next);

  // The columns of atom i one behind the other; where the next ones begin.
  double *pack(int i, double *row) const;

  // The first source again, if it is only a copy of what has changed since, not made of positions: whether it is.
  bool copy_first();
  double *pack_first(int i, double *row) const { return pack(wanted.front(), i, row); }

 private:
  struct Wanted {
    std::string key, source;
    int columns;
    std::string kind, name;    // total, d, d2, c or f
    int index;                 // from 1: one column of an array; 0 for all there are
    double *vector;
    double **array;
  };
  std::vector<Wanted> wanted;

  std::string problem(const Wanted &, const LAMMPS_NS::Fix *reader) const;
  void point(Wanted &);
  static double *pack(const Wanted &, int i, double *row);
};

}    // namespace topo

#endif
