#include "fix_topo.h"

#include "python_host.h"
#include "termination.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "input.h"
#include "modify.h"
#include "timer.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

using namespace LAMMPS_NS;
using namespace FixConst;

static const char cite_fix_topo[] =
    "fix topo command (lammps_topo): topological, gauge-invariant charge transport\n\n"
    "@Article{Pegolo2020,\n"
    " author = {Pegolo, Paolo and Grasselli, Federico and Baroni, Stefano},\n"
    " title = {Oxidation States, {Thouless'} Pumps, and Nontrivial Ionic Transport in Nonstoichiometric Electrolytes},\n"
    " journal = {Phys.~Rev.~X},\n"
    " volume = 10,\n"
    " pages = {041031},\n"
    " year = 2020\n"
    "}\n\n";

namespace {

// What a restart file holds of this fix: which state of the measurement belongs to it. See lammps_topo/restart.py.
constexpr int64_t RESTART_VERSION = 0x746f706f0001;    // "topo", and a number
struct RestartRecord {
  int64_t version, step;
  int64_t edited;       // the system was changed between the last sample and the writing
  double sums[7];       // of the system when it was written, as in add_sums
  char state[TOPO_NAME_LENGTH], measurement[TOPO_NAME_LENGTH];
};

std::set<FixTopo *> alive;

// Called by MPI_Finalize while MPI still works: LAMMPS ends so after error->all, without post_run.
int rescue_all(MPI_Comm, int, void *, void *)
{
  for (FixTopo *fix : alive) fix->leave();
  return MPI_SUCCESS;
}

}    // namespace

FixTopo::FixTopo(LAMMPS *lmp, int narg, char **arg) :
    Fix(lmp, narg, arg), link(), numbers(lmp), atom_values(lmp), last_sample(-1), vector_step(-1), ready(false), failed(false),
    left(false), interrupted(false), ended(false), incomplete(false), end_step(-1), end_sums()
{
  if (lmp->citeme) lmp->citeme->add(cite_fix_topo);
  if (narg < 4)
    error->all(FLERR, "fix {} topo: expected 'fix ID group topo N [config.yaml] [keyword value ...]'", id);
  nevery = utils::inumeric(FLERR, arg[3], false, lmp);
  if (nevery <= 0) error->all(FLERR, "fix {} topo: N is {}, but must be a positive number of steps", id, arg[3]);
  if (group->dynamic[igroup])
    error->all(FLERR, "fix {} topo: group {} is dynamic, but the measured atoms must stay the same (static group)", id,
               group->names[igroup]);
  if (domain->dimension != 3)
    error->all(FLERR, "fix {} topo: the system has {} dimensions, but conductivities and diffusion are defined here for 3",
               id, domain->dimension);
  if (!atom->tag_enable) error->all(FLERR, "fix {} topo: atoms need IDs (atom_modify id yes)", id);
  if (group->count(igroup) == 0)
    error->all(FLERR, "fix {} topo: group {} has no atoms; define the fix when they exist", id, group->names[igroup]);

  global_freq = nevery;
  dynamic_group_allow = 0;
  time_depend = 1;
  restart_global = 1;
  vector_flag = 1;
  extvector = 0;

  for (int i = 4; i < narg; i++) words.emplace_back(arg[i]);
  for (const std::string &word : words) word_pointers.push_back(word.c_str());
  link.version = TOPO_LINK_VERSION;
  link.size = static_cast<int32_t>(sizeof(TopoLink));
  link.world = universe->nworlds > 1 ? universe->iworld : -1;
  link.ranks = comm->nprocs;
  link.rank = comm->me;
  link.mpi_comm = static_cast<int32_t>(MPI_Comm_c2f(world));
  link.has_charge = atom->q_flag;
  link.has_molecule = atom->molecule_flag;
  link.words = static_cast<int32_t>(words.size());
  link.word = word_pointers.data();
  link.id = id;
  link.group = group->names[igroup];
  link.units = update->unit_style;
  link.lammps = lmp->version;
  link.every = nevery;
  link.timestep = update->dt;
  link.pressure_volume = force->nktv2p;

  // every rank starts its own Python: agree before one of them goes on alone
  const std::string problem = topo::connect(&link);
  int mine = problem.empty() ? comm->nprocs : comm->me, first = 0;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world);
  if (first < comm->nprocs) {
    int length = static_cast<int>(problem.size());
    MPI_Bcast(&length, 1, MPI_INT, first, world);
    std::string text(problem);
    text.resize(length);
    MPI_Bcast(&text[0], length, MPI_CHAR, first, world);
    error->all(FLERR, "fix {} topo: {}", id, text);
  }

  std::vector<int64_t> tags;
  std::vector<int32_t> types;
  for (int i = 0; i < atom->nlocal; i++)
    if (atom->mask[i] & groupbit) {
      tags.push_back(atom->tag[i]);
      types.push_back(atom->type[i]);
    }
  link.atoms = static_cast<int64_t>(tags.size());
  link.tag = tags.data();
  link.type = types.data();
  call(link.create);
  for (int64_t i = 0; i < link.want_numbers; i++) numbers.add(link.number_key[i], link.number[i]);
  if (link.want_force) atom_values.add("correlations.force", link.force, 3);
  for (int64_t i = 0; i < link.want_values; i++) atom_values.add(link.value_key[i], link.value[i], link.value_columns[i]);
  std::string missing = atom_values.problem(this);
  if (missing.empty()) missing = numbers.problem(this);
  if (!missing.empty()) leave();    // the fix will not exist: Python must forget it
  check(missing);
  size_vector = link.vector_length;
  values.assign(size_vector, 0.0);
  link.vector = values.data();
  alive.insert(this);
  if (link.on_sigterm && !topo::watch_sigterm() && comm->me == 0)
    utils::logmesg(lmp, "fix {} topo: this program handles SIGTERM by itself: 'on_sigterm' has no effect\n", id);
  watch_mpi_finalize();
}

FixTopo::~FixTopo()
{
  leave();
  if (alive.erase(this) && link.on_sigterm) topo::leave_sigterm();
}

int FixTopo::setmask()
{
  return END_OF_STEP | POST_RUN | (link.want_force ? INITIAL_INTEGRATE : 0) | (link.on_sigterm ? MIN_POST_FORCE : 0);
}

void FixTopo::init()
{
  if (!trouble.empty()) give_up(trouble);
  if (failed && link.goes_on) return;
  if (failed) error->all(FLERR, "fix {} topo: the measurement has ended with an error; unfix it and define it again", id);
  if (domain->box_change_size || domain->box_change_shape)
    error->all(FLERR,
               "fix {} topo: another fix changes the {} of the box; equilibrate first, then define fix topo and measure "
               "in a box that stays as it is",
               id, domain->box_change_size ? "volume" : "shape");
  if (update->dt != link.timestep)
    error->all(FLERR, "fix {} topo: the timestep changed from {} to {} since the fix was defined; unfix and define it again",
               id, link.timestep, update->dt);
  check(numbers.problem(this));
  numbers.expect(update->ntimestep, nevery);
  check(atom_values.problem(this));
  atom_values.expect(update->ntimestep, nevery);
}

// Fixes are set up in the order of their definition, so that here those behind this one have not added their forces yet
// (langevin, efield, spring, shake ...): the sample gets its forces when all are there, see complete().
void FixTopo::setup(int)
{
  if (failed) return;
  drop_incomplete();    // of a run that ended with an error
  if (!ready) prepare();
  if (end_step >= 0 && (link.path || was_edited())) link.new_stretch = 1;
  if (update->ntimestep % nevery || (update->ntimestep == last_sample && !link.new_stretch)) return;
  // r-RESPA keeps the total force at the end of steps only
  if (link.want_force && utils::strmatch(update->integrate_style, "^respa")) return;
  if (const Fix *later = numbers.empty() ? nullptr : topo::adds_later(modify, this)) {
    if (comm->me == 0)
      utils::logmesg(lmp, "fix {} topo: no sample at step {}: fix '{}', which adds to energy or virial, is defined after "
                     "this fix and has not done so yet\n", id, update->ntimestep, later->id);
    return;
  }
  sample(link.want_force);
}

// The first thing in a step: forces are still those of the setup, whatever has moved already.
void FixTopo::initial_integrate(int)
{
  if (incomplete) complete();
}

void FixTopo::end_of_step()
{
  if (!trouble.empty()) give_up(trouble);
  if (incomplete) complete();    // a rerun has no integration
  if (update->ntimestep != last_sample) sample();
}

// Nothing is measured while energy is minimised, but SIGTERM must not have to wait.
void FixTopo::min_post_force(int)
{
  if (sigterm()) interrupt();
}

void FixTopo::post_run()
{
  constexpr int a_run = 1;    // not a minimisation
  if (!ready || failed || update->whichflag != a_run) return;
  if (incomplete) complete();    // run 0
  link.ends_run = 0;
  if (ended) timer->reset_timeout();
  ended = false;
  if (sigterm()) interrupt();
  if (!failed) deliver(link.finish);
  end_step = update->ntimestep;
  global_sums(end_sums);
  end_prints = fingerprint();
}

void FixTopo::leave()
{
  if (left) return;
  left = true;
  drop_incomplete();
  if (link.close) link.close(&link);
}

// Kinetic energy (not halved), momentum and first moment of the mass: what an atom adds to them.
void FixTopo::add_sums(int i, const double *unwrapped, double *sum) const
{
  const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
  const double *v = atom->v[i];
  sum[0] += mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  for (int k = 0; k < 3; k++) {
    sum[1 + k] += mass * v[k];
    sum[4 + k] += mass * unwrapped[k];
  }
}

void FixTopo::global_sums(double *total) const
{
  double unwrapped[3], sum[SUMS] = {0.0};
  for (int i = 0; i < atom->nlocal; i++) {
    domain->unmap(atom->x[i], atom->image[i], unwrapped);
    add_sums(i, unwrapped, sum);
  }
  MPI_Allreduce(sum, total, SUMS, MPI_DOUBLE, MPI_SUM, world);
}

// Positions and velocities, each atom with a weight of its own, so that no edit cancels as it may in the sums; behind
// them the same of absolute values. Charges are not compared: LAMMPS equilibrates them anew in every setup.
std::vector<double> FixTopo::fingerprint() const
{
  constexpr int HALF = PRINTS / 2;
  double unwrapped[3];
  std::vector<double> mine(PRINTS, 0.0), all(PRINTS);
  for (int i = 0; i < atom->nlocal; i++) {
    domain->unmap(atom->x[i], atom->image[i], unwrapped);
    const double weight = std::cos(static_cast<double>(atom->tag[i]));
    for (int k = 0; k < HALF; k++) {
      const double value = k < 3 ? unwrapped[k] : atom->v[i][k - 3];
      mine[k] += weight * value;
      mine[HALF + k] += std::fabs(value);
    }
  }
  MPI_Allreduce(mine.data(), all.data(), PRINTS, MPI_DOUBLE, MPI_SUM, world);
  return all;
}

// Whether minimize, displace_atoms, velocity, set ... changed the system since the last run ended.
bool FixTopo::was_edited() const
{
  if (update->ntimestep != end_step) return true;
  double now[SUMS];
  global_sums(now);
  const double tolerance = 1e-9;    // rounding of the sums
  const double mass = group->mass(0);
  const double extent = mass * (domain->xprd + domain->yprd + domain->zprd);
  const double motion = std::sqrt(mass * end_sums[0]);
  if (std::fabs(now[0] - end_sums[0]) > tolerance * end_sums[0]) return true;
  for (int k = 0; k < 3; k++) {
    if (std::fabs(now[1 + k] - end_sums[1 + k]) > tolerance * motion) return true;
    if (std::fabs(now[4 + k] - end_sums[4 + k]) > tolerance * extent) return true;
  }
  if (end_prints.empty()) return false;
  const std::vector<double> prints = fingerprint();
  for (int k = 0; k < PRINTS / 2; k++)
    if (std::fabs(prints[k] - end_prints[k]) > tolerance * end_prints[PRINTS / 2 + k]) return true;
  return false;
}

// Ownership by tag, masses and degrees of freedom: known when the first run begins.
void FixTopo::prepare()
{
  std::vector<int64_t> tags;
  std::vector<int32_t> types;
  std::vector<int64_t> molecules, others;
  std::vector<double> masses, positions, charges;
  double total = 0.0, unwrapped[3];
  for (int i = 0; i < atom->nlocal; i++) {
    const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    total += mass;
    if (link.want_molecules) (atom->mask[i] & groupbit ? molecules : others).push_back(atom->molecule[i]);
    if (!(atom->mask[i] & groupbit)) continue;
    tags.push_back(atom->tag[i]);
    types.push_back(atom->type[i]);
    masses.push_back(mass);
    if (link.want_molecules && link.has_charge) charges.push_back(atom->q[i]);
    domain->unmap(atom->x[i], atom->image[i], unwrapped);
    positions.insert(positions.end(), unwrapped, unwrapped + 3);
  }
  link.atoms = static_cast<int64_t>(tags.size());
  link.tag = tags.data();
  link.type = types.data();
  link.mass = masses.data();
  link.total_mass = total;
  link.position = positions.data();
  link.molecule = molecules.data();
  link.charge = charges.data();
  link.other_molecule = others.data();
  link.other_atoms = static_cast<int64_t>(others.size());
  link.now = update->ntimestep;
  global_sums(link.system);
  Compute *temperature = modify->get_compute_by_id("thermo_temp");
  link.degrees_of_freedom = 0.0;
  if (temperature) {
    temperature->compute_scalar();    // counts them anew
    link.degrees_of_freedom = temperature->dof;
  }
  call(link.setup);
  link.mass = link.position = link.charge = nullptr;    // they are gone soon
  link.molecule = link.other_molecule = nullptr;
  last_sample = link.last_sample;
  if (last_sample < 0) end_step = -1;    // a new measurement
  link.width = 4 + 3 * link.want_velocity + link.want_charge + atom_values.width();
  const auto block = static_cast<size_t>(link.block);
  steps.reserve(block);
  counts.reserve(block);
  sums.reserve(SUMS * block);
  volumes.reserve(block);
  rows.reserve(block * link.width * (tags.size() + 1));
  ready = true;
}

void FixTopo::sample(bool awaits_force)
{
  const bigint step = update->ntimestep;
  if (failed) {
    last_sample = step;
    if (sigterm()) interrupt();
    return;
  }
  // a gap (minimisation, reset_timestep, a run that ended between samples) ends the block
  if (!steps.empty() && (link.new_stretch || step != last_sample + nevery)) deliver(link.take);
  if (failed) return;
  if (update->dt != link.timestep)
    return give_up(fmt::format("the timestep changed from {} to {} during the run, but samples must be equidistant",
                               link.timestep, update->dt));

  double **x = atom->x, **v = atom->v;
  const double *q = atom->q;
  const bool want_velocity = link.want_velocity, want_charge = link.want_charge;
  double unwrapped[3], sum[SUMS] = {0.0};
  std::string missing = atom_values.problem(this);    // it may have been deleted during the run
  if (missing.empty()) missing = numbers.problem(this);
  if (!missing.empty()) return give_up(missing);
  atom_values.evaluate(step + nevery);
  const std::vector<double> found = numbers.evaluate(step + nevery);
  number_values.insert(number_values.end(), found.begin(), found.end());
  const size_t before = rows.size(), width = static_cast<size_t>(link.width);
  rows.resize(before + width * atom->nlocal);
  double *row = rows.data() + before;
  for (int i = 0; i < atom->nlocal; i++) {
    domain->unmap(x[i], atom->image[i], unwrapped);
    add_sums(i, unwrapped, sum);
    if (!(atom->mask[i] & groupbit)) continue;
    *row++ = static_cast<double>(atom->tag[i]);
    for (int k = 0; k < 3; k++) *row++ = unwrapped[k];
    if (want_velocity)
      for (int k = 0; k < 3; k++) *row++ = v[i][k];
    if (want_charge) *row++ = q[i];
    row = atom_values.pack(i, row);
  }
  rows.resize(row - rows.data());
  steps.push_back(step);
  counts.push_back(static_cast<int64_t>((rows.size() - before) / width));
  sums.insert(sums.end(), sum, sum + SUMS);
  volumes.push_back(domain->xprd * domain->yprd * domain->zprd);
  const double cell[9] = {domain->xprd, 0.0, 0.0, domain->xy, domain->yprd, 0.0, domain->xz, domain->yz, domain->zprd};
  std::copy(cell, cell + 9, link.cell);
  last_sample = step;
  incomplete = awaits_force;
  show_block();
  if (incomplete) return;
  if (sigterm())
    interrupt();
  else if (block_ends())
    deliver(link.take);
  if (link.ends_run) end_run();
}

// Whether this is a piece of 'run N every M', between which other commands are executed.
bool FixTopo::is_piece() const
{
  const Input *input = lmp->input;
  if (std::strcmp(input->command, "run")) return true;
  return std::any_of(input->arg, input->arg + input->narg, [](const char *word) { return !std::strcmp(word, "every"); });
}

// What is wanted is known: this run ends. LAMMPS passes over all that follows while its time is up: post_run() changes
// that, but for the other pieces of this run.
void FixTopo::end_run()
{
  link.ends_run = 0;
  if (timer->is_timeout()) return;
  // a rerun goes through its files; in the others, partitions wait for each other
  for (const char *style : {"^rerun", "^temper", "^prd", "^tad", "^hyper"})
    if (utils::strmatch(lmp->input->command, style)) return;
  const bool piece = is_piece();
  ended = !piece;
  timer->force_timeout();
  if (comm->me == 0)
    utils::logmesg(lmp, "fix {} topo: stop: the run ends at step {}; {}\n", id, update->ntimestep,
                   piece ? "its other pieces and further runs are passed over, other commands not"
                         : "the commands behind it are executed");
}

// Whether any rank got SIGTERM, and this fix has not obeyed yet. Collective.
bool FixTopo::sigterm()
{
  if (!link.on_sigterm || interrupted) return false;
  int mine = topo::sigterm_came(), any = 0;
  MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, world);
  return any != 0;
}

// Everything is written, for the queue may kill the program soon. Commands behind the run are still executed.
void FixTopo::interrupt()
{
  constexpr int stop = 2;
  interrupted = true;
  if (ready && !failed) deliver(link.interrupt);
  if (link.on_sigterm != stop) return;
  timer->force_timeout();
  if (comm->me == 0)
    utils::logmesg(lmp, "fix {} topo: SIGTERM: the run ends at step {}; further runs are passed over, other commands "
                   "not\n", id, update->ntimestep);
}

bool FixTopo::block_ends() const
{
  if (static_cast<int64_t>(steps.size()) >= link.block) return true;
  return link.checkpoint_steps && !steps.empty() && steps.back() % link.checkpoint_steps == 0;
}

// The sample taken at setup gets its forces, now that every fix has been set up. Atoms are still in the same order, but
// some may have moved: what a compute makes of positions was right before, and only a copy of forces is made again.
void FixTopo::complete()
{
  if (failed) return;
  check(atom_values.problem(this));    // it may have been deleted
  if (atom_values.copy_first()) {
    double *row = rows.data() + rows.size() - counts.back() * link.width + 4 + 3 * link.want_velocity + link.want_charge;
    for (int i = 0; i < atom->nlocal; i++) {
      if (!(atom->mask[i] & groupbit)) continue;
      atom_values.pack_first(i, row);
      row += link.width;
    }
  }
  incomplete = false;
  show_block();
  if (block_ends()) deliver(link.take);
}

// A sample whose forces never came.
void FixTopo::drop_incomplete()
{
  if (!incomplete) return;
  incomplete = false;
  rows.resize(rows.size() - counts.back() * link.width);
  steps.pop_back();
  counts.pop_back();
  sums.resize(sums.size() - SUMS);
  volumes.pop_back();
  number_values.resize(number_values.size() - numbers.size());
  last_sample = -1;
  show_block();
}

void FixTopo::check(const std::string &problem)
{
  if (!problem.empty()) error->all(FLERR, "fix {} topo: {}", id, problem);
}

// Keep the link pointing at the block: Python may end, and ask for it, at any time. Not at what is incomplete.
void FixTopo::show_block()
{
  link.samples = static_cast<int64_t>(steps.size()) - incomplete;
  link.rows = (link.width ? static_cast<int64_t>(rows.size()) / link.width : 0) - (incomplete ? counts.back() : 0);
  link.step = steps.data();
  link.count = counts.data();
  link.row = rows.data();
  link.sums = sums.data();
  link.volume = volumes.data();
  link.numbers = number_values.data();
}

// Hand the block over and begin a new one.
void FixTopo::deliver(int (*function)(TopoLink *))
{
  call(function);
  clear_block();
}

void FixTopo::clear_block()
{
  if (!steps.empty()) link.new_stretch = 0;    // else it waits for the sample that begins the stretch
  steps.clear();
  counts.clear();
  rows.clear();
  sums.clear();
  volumes.clear();
  number_values.clear();
  show_block();
  vector_step = -1;
}

// A call into Python that ends the run, on all ranks with one message, if it fails.
void FixTopo::call(int (*function)(TopoLink *))
{
  if (try_call(function)) give_up(link.message);
}

// The measurement is over: the run, too, unless the user wants otherwise.
void FixTopo::give_up(const std::string &problem)
{
  const std::string text(problem);
  failed = true;
  trouble.clear();
  if (!link.goes_on || !ready) error->all(FLERR, "fix {} topo: {}", id, text);
  if (comm->me == 0) error->warning(FLERR, "fix {} topo: {}; the run goes on without analysis", id, text);
  incomplete = false;
  clear_block();
}

int FixTopo::try_call(int (*function)(TopoLink *))
{
  link.message[0] = link.notice[0] = '\0';
  if (!function) error->all(FLERR, "fix {} topo: the Python interpreter has gone", id);
  const int status = function(&link);
  if (link.notice[0] && comm->me == 0) {
    const std::string notices = link.notice;    // a line each
    for (size_t begin = 0; begin < notices.size();) {
      const size_t end = std::min(notices.find('\n', begin), notices.size());
      utils::logmesg(lmp, "fix {} topo: {}\n", id, notices.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (status) failed = true;
  return status;
}

double FixTopo::compute_vector(int n)
{
  if (!ready || failed) return std::nan("");
  if (vector_step != update->ntimestep) {
    call(link.vector_update);
    if (failed) return std::nan("");
    vector_step = update->ntimestep;
  }
  return values[n];
}

double FixTopo::memory_usage()
{
  const size_t kept = rows.capacity() + sums.capacity() + number_values.capacity();
  return link.bytes + static_cast<double>(sizeof(double) * kept);
}

// Collective, although rank 0 alone writes. The samples so far go over, and Python writes its state; whatever is wrong
// with them must not spoil the restart file that LAMMPS is writing, and ends the run at the next step.
void FixTopo::write_restart(FILE *fp)
{
  constexpr int no_run = 0, minimisation = 2;
  RestartRecord record{};
  record.version = RESTART_VERSION;
  record.step = update->ntimestep;
  if (ready && !failed && link.save) {
    if (incomplete) complete();
    record.edited = link.new_stretch || update->whichflag == minimisation ||
        (update->whichflag == no_run && (end_step < 0 || was_edited()));
    if (try_call(link.save)) {
      trouble = link.message;
      if (comm->me == 0) error->warning(FLERR, "fix {} topo: {}", id, trouble);
    } else {
      std::memcpy(record.state, link.state, TOPO_NAME_LENGTH);
      std::memcpy(record.measurement, link.measurement, TOPO_NAME_LENGTH);
    }
    clear_block();
  }
  global_sums(record.sums);
  if (comm->me) return;
  const int size = sizeof(record);
  fwrite(&size, sizeof(int), 1, fp);
  fwrite(&record, size, 1, fp);
}

void FixTopo::restart(char *buffer)
{
  RestartRecord record;
  std::memcpy(&record.version, buffer, sizeof(record.version));
  link.restarted = record.version == RESTART_VERSION ? 1 : -1;
  if (link.restarted < 0) return;
  std::memcpy(&record, buffer, sizeof(record));
  link.restart_step = record.step;
  link.restart_edited = record.edited != 0;
  std::memcpy(link.restart_state, record.state, TOPO_NAME_LENGTH);
  std::memcpy(link.restart_measurement, record.measurement, TOPO_NAME_LENGTH);
  link.restart_state[TOPO_NAME_LENGTH - 1] = link.restart_measurement[TOPO_NAME_LENGTH - 1] = '\0';
  // an edit between reading the file and the run begins a new stretch
  end_step = record.step;
  std::memcpy(end_sums, record.sums, sizeof(end_sums));
  end_prints.clear();
}

// MPI_Finalize deletes the attributes of MPI_COMM_SELF first: the one moment that LAMMPS's error->all leaves us.
void FixTopo::watch_mpi_finalize()
{
  static bool watching = false;
  if (watching) return;
  watching = true;
  int key = MPI_KEYVAL_INVALID;
  if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, rescue_all, &key, nullptr) == MPI_SUCCESS)
    MPI_Comm_set_attr(MPI_COMM_SELF, key, nullptr);
}
