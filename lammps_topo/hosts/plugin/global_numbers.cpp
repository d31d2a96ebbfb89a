#include "global_numbers.h"

#include "compute.h"
#include "fix.h"
#include "input.h"
#include "modify.h"
#include "variable.h"

#include <cstdlib>

using namespace LAMMPS_NS;

topo::SourceName::SourceName(const std::string &source) : kind(source), index(0)
{
  const auto underscore = source.find('_');
  if (underscore == std::string::npos) return;
  kind = source.substr(0, underscore);
  name = source.substr(underscore + 1);
  const auto bracket = name.find('[');
  if (bracket == std::string::npos) return;
  index = std::atoi(name.c_str() + bracket + 1);
  name.resize(bracket);
}

void topo::GlobalNumbers::add(const char *key, const char *source)
{
  const SourceName said(source);
  wanted.push_back({key, source, said.kind[0], said.name, said.index});
}

std::string topo::GlobalNumbers::problem(const Fix *reader) const
{
  for (const Wanted &one : wanted) {
    const std::string reason = problem(one, reader);
    if (!reason.empty()) return "key '" + one.key + "' wants '" + one.source + "', but " + reason;
  }
  return "";
}

namespace {

// What is wrong with a compute or a fix, which name their sizes alike.
template <typename Source> std::string size_problem(const Source *source, int index)
{
  const char *advice = source->peratom_flag ? ": it is per atom, and compute reduce can add that up" : "";
  if (!index) return source->scalar_flag ? "" : std::string("has no global scalar") + advice;
  if (!source->vector_flag) return std::string("has no global vector") + advice;
  if (source->size_vector_variable) return "has a vector whose length changes";
  return index <= source->size_vector ? "" : "has a vector of " + std::to_string(source->size_vector) + " numbers";
}

}    // namespace

std::string topo::GlobalNumbers::problem(const Wanted &one, const Fix *reader) const
{
  if (one.kind == 'v') {
    const int variable = input->variable->find(one.name.c_str());
    if (variable < 0) return "there is no variable '" + one.name + "'";
    return input->variable->equalstyle(variable) ? "" : "variable '" + one.name + "' is not of equal style";
  }
  if (one.kind == 'c') {
    const Compute *compute = modify->get_compute_by_id(one.name);
    if (!compute) return "there is no compute '" + one.name + "'";
    const std::string reason = size_problem(compute, one.index);
    return reason.empty() ? "" : "compute '" + one.name + "' " + reason;
  }
  const Fix *fix = modify->get_fix_by_id(one.name);
  if (!fix) return "there is no fix '" + one.name + "'";
  const std::string reason = size_problem(fix, one.index);
  if (!reason.empty()) return "fix '" + one.name + "' " + reason;
  if (fix->global_freq <= 0 || reader->nevery % fix->global_freq)
    return "fix '" + one.name + "' has new values every " + std::to_string(fix->global_freq) + " steps, and N is " +
        std::to_string(reader->nevery) + ": N must be a multiple of that";
  if (acts_later(modify, fix, reader))
    return "fix '" + one.name + "' is defined after this fix, so that its values are not there yet: define it before";
  return "";
}

void topo::GlobalNumbers::expect(bigint now, int every) const
{
  if (wanted.empty()) return;
  // a sample of this very step may have been taken already
  const bigint next = (now + every - 1) / every * every;
  modify->addstep_compute_all(next);
  modify->addstep_compute_all(next + every);
}

std::vector<double> topo::GlobalNumbers::evaluate(bigint next) const
{
  std::vector<double> values;
  if (wanted.empty()) return values;
  modify->clearstep_compute();
  for (const Wanted &one : wanted) values.push_back(evaluate(one));
  modify->addstep_compute(next);
  return values;
}

double topo::GlobalNumbers::evaluate(const Wanted &one) const
{
  if (one.kind == 'v') return input->variable->compute_equal(input->variable->find(one.name.c_str()));
  if (one.kind == 'f') {
    Fix *fix = modify->get_fix_by_id(one.name);
    return one.index ? fix->compute_vector(one.index - 1) : fix->compute_scalar();
  }
  // the flag, not the step of the last invocation, says that it and those that it invokes get their next step
  Compute *compute = modify->get_compute_by_id(one.name);
  const int flag = one.index ? Compute::INVOKED_VECTOR : Compute::INVOKED_SCALAR;
  if (!(compute->invoked_flag & flag)) {
    if (one.index)
      compute->compute_vector();
    else
      compute->compute_scalar();
    compute->invoked_flag |= flag;
  }
  return one.index ? compute->vector[one.index - 1] : compute->scalar;
}

bool topo::acts_later(Modify *modify, const Fix *fix, const Fix *reader)
{
  bool behind = false;
  for (int i = 0; i < modify->nfix; i++) {
    if (modify->fix[i] == reader) behind = true;
    if (behind && modify->fix[i] == fix && (modify->fmask[i] & FixConst::END_OF_STEP)) return true;
  }
  return false;
}

const Fix *topo::adds_later(Modify *modify, const Fix *reader)
{
  bool behind = false;
  for (int i = 0; i < modify->nfix; i++) {
    const Fix *fix = modify->fix[i];
    if (behind && (fix->thermo_virial || fix->thermo_energy)) return fix;
    if (fix == reader) behind = true;
  }
  return nullptr;
}
