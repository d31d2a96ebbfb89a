#include "atom_values.h"

#include "global_numbers.h"

#include "atom.h"
#include "compute.h"
#include "fix.h"
#include "modify.h"
#include "utils.h"

using namespace LAMMPS_NS;

void topo::AtomValues::add(const char *key, const char *source, int columns)
{
  const SourceName said(source);
  wanted.push_back({key, source, columns, said.kind, said.name, said.index, nullptr, nullptr});
}

int topo::AtomValues::width() const
{
  int columns = 0;
  for (const Wanted &one : wanted) columns += one.columns;
  return columns;
}

std::string topo::AtomValues::problem(const Fix *reader) const
{
  for (const Wanted &one : wanted) {
    const std::string reason = problem(one, reader);
    if (!reason.empty()) return "key '" + one.key + "' is '" + one.source + "', but " + reason;
  }
  return "";
}

namespace {

std::string numbers(int columns)
{
  return columns == 1 ? "one number" : std::to_string(columns) + " numbers";
}

// What is wrong with the per-atom values of a compute or a fix, of which there are `columns` (0: a vector).
std::string size_problem(const std::string &what, bool there, int columns, int wanted, int index)
{
  const std::string has = what + " has " + (columns ? std::to_string(columns) + " per-atom columns" : "a per-atom vector");
  if (!there && wanted == 1) return "there is no " + what + " with per-atom values";
  if (!there) columns = 0;
  if (index) return index <= columns ? "" : has;
  if (wanted == 1) return columns ? has + ": one of them must be chosen, [i]" : "";
  return columns == wanted ? "" : "there is no " + what + " with " + std::to_string(wanted) + " per-atom columns";
}

}    // namespace

std::string topo::AtomValues::problem(const Wanted &one, const Fix *reader) const
{
  if (one.kind == "total") return "";
  if (one.kind[0] == 'd') {
    int flag = 0, columns = 0;
    const int index = atom->find_custom(one.name.c_str(), flag, columns);
    if (index >= 0 && flag == 1 && columns == (one.columns == 1 ? 0 : one.columns)) return "";
    const std::string number = one.columns == 1 ? "" : " " + std::to_string(one.columns);
    return "atoms have no such property of " + numbers(one.columns) + " (fix ID all property/atom " + one.source + number + ")";
  }
  if (one.kind == "c") {
    const Compute *compute = modify->get_compute_by_id(one.name);
    return size_problem("compute '" + one.name + "'", compute && compute->peratom_flag,
                        compute ? compute->size_peratom_cols : 0, one.columns, one.index);
  }
  const Fix *fix = modify->get_fix_by_id(one.name);
  const std::string reason = size_problem("fix '" + one.name + "'", fix && fix->peratom_flag,
                                          fix ? fix->size_peratom_cols : 0, one.columns, one.index);
  if (!reason.empty()) return reason;
  if (fix->peratom_freq <= 0 || reader->nevery % fix->peratom_freq)
    return "fix '" + one.name + "' has new values every " + std::to_string(fix->peratom_freq) + " steps, and N is " +
        std::to_string(reader->nevery) + ": N must be a multiple of that";
  if (acts_later(modify, fix, reader))
    return "fix '" + one.name + "' is defined after this fix, so that its values are not there yet: define it before";
  return "";
}

void topo::AtomValues::expect(bigint now, int every) const
{
  bool any = false;
  for (const Wanted &one : wanted) any = any || one.kind == "c";
  if (!any) return;
  // a sample of this very step may have been taken already
  const bigint next = (now + every - 1) / every * every;
  modify->addstep_compute_all(next);
  modify->addstep_compute_all(next + every);
}

void topo::AtomValues::evaluate(bigint next)
{
  bool any = false;
  for (const Wanted &one : wanted) any = any || one.kind == "c";
  if (any) modify->clearstep_compute();
  for (Wanted &one : wanted) point(one);
  if (any) modify->addstep_compute(next);
}

void topo::AtomValues::point(Wanted &one)
{
  one.vector = nullptr;
  one.array = nullptr;
  if (one.kind == "total") {
    one.array = atom->f;
  } else if (one.kind[0] == 'd') {
    int flag = 0, columns = 0;
    const int index = atom->find_custom(one.name.c_str(), flag, columns);
    if (columns)
      one.array = atom->darray[index];
    else
      one.vector = atom->dvector[index];
  } else if (one.kind == "f") {
    const Fix *fix = modify->get_fix_by_id(one.name);
    one.vector = fix->vector_atom;
    one.array = fix->size_peratom_cols ? fix->array_atom : nullptr;
  } else {
    // the flag, not the step of the last invocation, says that it and those that it invokes get their next step
    Compute *compute = modify->get_compute_by_id(one.name);
    if (!(compute->invoked_flag & Compute::INVOKED_PERATOM)) {
      compute->compute_peratom();
      compute->invoked_flag |= Compute::INVOKED_PERATOM;
    }
    one.vector = compute->vector_atom;
    one.array = compute->size_peratom_cols ? compute->array_atom : nullptr;
  }
}

double *topo::AtomValues::pack(int i, double *row) const
{
  for (const Wanted &one : wanted) row = pack(one, i, row);
  return row;
}

double *topo::AtomValues::pack(const Wanted &one, int i, double *row)
{
  if (!one.array) {
    *row++ = one.vector[i];
  } else if (one.index) {
    *row++ = one.array[i][one.index - 1];
  } else {
    for (int k = 0; k < one.columns; k++) *row++ = one.array[i][k];
  }
  return row;
}

bool topo::AtomValues::copy_first()
{
  Wanted &one = wanted.front();
  Compute *compute = one.kind == "c" ? modify->get_compute_by_id(one.name) : nullptr;
  if (compute && !utils::strmatch(compute->style, "^property/atom")) return false;
  if (compute) compute->invoked_flag &= ~Compute::INVOKED_PERATOM;
  point(one);
  if (compute) compute->invoked_peratom = -1;    // not what it is at the step that has begun
  return true;
}
