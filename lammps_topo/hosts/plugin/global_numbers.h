// Numbers that LAMMPS computes as a whole, by name: c_ID, c_ID[i], f_ID, f_ID[i], and v_NAME of equal style.

#ifndef TOPO_GLOBAL_NUMBERS_H
#define TOPO_GLOBAL_NUMBERS_H

#include "pointers.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {
class Compute;
class Fix;
}

namespace topo {

// What LAMMPS calls its numbers: KIND_NAME or KIND_NAME[index], index from 1, 0 without one; a word alone is a kind.
struct SourceName {
  explicit SourceName(const std::string &source);
  std::string kind, name;
  int index;
};

class GlobalNumbers : protected LAMMPS_NS::Pointers {
 public:
  explicit GlobalNumbers(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  // source has one of the forms above; key is the one of the configuration that asks for it
  void add(const char *key, const char *source);
  bool empty() const { return wanted.empty(); }
  size_t size() const { return wanted.size(); }

  // Why the fix `reader` cannot have them: empty, or a sentence. The same on all ranks.
  std::string problem(const LAMMPS_NS::Fix *reader) const;

  // Energy and virial are summed up only in steps that computes know of: here, that samples may be taken from `now` on.
  void expect(LAMMPS_NS::bigint now, int every) const;

  // The numbers of this step; computes are told when they are wanted next. Collective.
  std::vector<double> evaluate(LAMMPS_NS::bigint next) const;

 private:
  struct Wanted {
    std::string key, source;
    char kind;    // c, f or v
    std::string name;
    int index;    // from 1, 0 for a scalar
  };
  std::vector<Wanted> wanted;

  std::string problem(const Wanted &, const LAMMPS_NS::Fix *reader) const;
  double evaluate(const Wanted &) const;
};

// Whether a fix acts at the end of a step, and behind `reader`: what it has then is of an earlier step.
bool acts_later(LAMMPS_NS::Modify *modify, const LAMMPS_NS::Fix *fix, const LAMMPS_NS::Fix *reader);

// A fix behind `reader` that adds to energy or virial, which it has not done yet when `reader` is set up; or null.
const LAMMPS_NS::Fix *adds_later(LAMMPS_NS::Modify *modify, const LAMMPS_NS::Fix *reader);

}    // namespace topo

#endif
