#include "fix_topo.h"

#include "python_host.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "update.h"
#include "utils.h"

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

constexpr int SUMS = 7;    // kinetic, momentum, moment: stream/block.py

std::set<FixTopo *> alive;

// Called by MPI_Finalize while MPI still works: LAMMPS ends so after error->all, without post_run.
int rescue_all(MPI_Comm, int, void *, void *)
{
  for (FixTopo *fix : alive) fix->rescue();
  return MPI_SUCCESS;
}

}    // namespace

FixTopo::FixTopo(LAMMPS *lmp, int narg, char **arg) :
    Fix(lmp, narg, arg), link(), last_sample(-1), vector_step(-1), ready(false), failed(false)
{
  if (lmp->citeme) lmp->citeme->add(cite_fix_topo);
  if (narg < 4)
    error->all(FLERR, "fix {} topo: expected 'fix ID group topo N [config.yaml] [keyword value ...]'", id);
  nevery = utils::inumeric(FLERR, arg[3], false, lmp);
  if (nevery <= 0) error->all(FLERR, "fix {} topo: N is {}, but must be a positive number of steps", id, arg[3]);
  if (group->dynamic[igroup])
    error->all(FLERR, "fix {} topo: group {} is dynamic, but the measured atoms must stay the same (static group)", id,
               group->names[igroup]);
  if (!atom->tag_enable) error->all(FLERR, "fix {} topo: atoms need IDs (atom_modify id yes)", id);
  if (group->count(igroup) == 0)
    error->all(FLERR, "fix {} topo: group {} has no atoms; define the fix when they exist", id, group->names[igroup]);

  global_freq = nevery;
  dynamic_group_allow = 0;
  time_depend = 1;
  restart_global = 1;
  vector_flag = 1;
  extvector = 0;

  for (int i = 4; i < narg; i++) words.push_back(utils::strdup(arg[i]));
  link.version = TOPO_LINK_VERSION;
  link.ranks = comm->nprocs;
  link.rank = comm->me;
  link.mpi_comm = static_cast<int32_t>(MPI_Comm_c2f(world));
  link.has_charge = atom->q_flag;
  link.words = static_cast<int32_t>(words.size());
  link.word = words.data();
  link.id = id;
  link.group = group->names[igroup];
  link.units = update->unit_style;
  link.lammps = lmp->version;
  link.every = nevery;
  link.timestep = update->dt;

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
  size_vector = link.vector_length;
  values.assign(size_vector, 0.0);
  link.vector = values.data();
  alive.insert(this);
  watch_mpi_finalize();
}

FixTopo::~FixTopo()
{
  alive.erase(this);
  if (link.close) link.close(&link);
  for (const char *word : words) delete[] word;
}

int FixTopo::setmask()
{
  return END_OF_STEP | POST_RUN;
}

void FixTopo::init()
{
  if (domain->box_change_size)
    error->all(FLERR,
               "fix {} topo: another fix changes the volume of the box; equilibrate at constant pressure first, then "
               "define fix topo and measure at constant volume",
               id);
  if (update->dt != link.timestep)
    error->all(FLERR, "fix {} topo: the timestep changed from {} to {} since the fix was defined; unfix and define it again",
               id, link.timestep, update->dt);
}

void FixTopo::setup(int)
{
  if (!ready) prepare();
  if (update->ntimestep % nevery == 0 && update->ntimestep != last_sample) sample();
}

void FixTopo::end_of_step()
{
  if (update->ntimestep != last_sample) sample();
}

void FixTopo::post_run()
{
  if (ready && !failed) deliver(link.finish);
}

void FixTopo::rescue()
{
  if (!ready || failed) return;
  link.message[0] = '\0';
  link.samples = static_cast<int64_t>(steps.size());
  link.rows = link.width ? static_cast<int64_t>(rows.size()) / link.width : 0;
  link.step = steps.data();
  link.count = counts.data();
  link.row = rows.data();
  link.sums = sums.data();
  link.volume = volumes.data();
  failed = true;
  link.finish(&link);
}

// Ownership by tag, masses and degrees of freedom: known when the first run begins.
void FixTopo::prepare()
{
  std::vector<int64_t> tags;
  std::vector<int32_t> types;
  double total = 0.0;
  for (int i = 0; i < atom->nlocal; i++) {
    const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    total += mass;
    if (!(atom->mask[i] & groupbit)) continue;
    tags.push_back(atom->tag[i]);
    types.push_back(atom->type[i]);
  }
  link.atoms = static_cast<int64_t>(tags.size());
  link.tag = tags.data();
  link.type = types.data();
  link.total_mass = total;
  Compute *temperature = modify->get_compute_by_id("thermo_temp");
  link.degrees_of_freedom = 0.0;
  if (temperature) {
    temperature->compute_scalar();    // counts them anew
    link.degrees_of_freedom = temperature->dof;
  }
  call(link.setup);
  link.width = 4 + 3 * link.want_velocity + link.want_charge;
  const auto block = static_cast<size_t>(link.block);
  steps.reserve(block);
  counts.reserve(block);
  sums.reserve(SUMS * block);
  volumes.reserve(block);
  rows.reserve(block * link.width * (tags.size() + 1));
  ready = true;
}

void FixTopo::sample()
{
  if (failed) return;
  const bigint step = update->ntimestep;
  // a gap (minimisation, reset_timestep, a run that ended between samples) ends the block
  if (last_sample >= 0 && step != last_sample + nevery && !steps.empty()) deliver(link.take);
  if (update->dt != link.timestep)
    error->all(FLERR, "fix {} topo: the timestep changed from {} to {} during the run, but samples must be equidistant", id,
               link.timestep, update->dt);

  double **x = atom->x, **v = atom->v;
  const double *q = atom->q;
  const imageint *image = atom->image;
  const bool want_velocity = link.want_velocity, want_charge = link.want_charge;
  double sum[SUMS] = {0.0};
  double unwrapped[3];
  const size_t before = rows.size(), width = static_cast<size_t>(link.width);
  rows.resize(before + width * atom->nlocal);
  double *row = rows.data() + before;
  for (int i = 0; i < atom->nlocal; i++) {
    const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    domain->unmap(x[i], image[i], unwrapped);
    sum[0] += mass * (v[i][0] * v[i][0] + v[i][1] * v[i][1] + v[i][2] * v[i][2]);
    for (int k = 0; k < 3; k++) {
      sum[1 + k] += mass * v[i][k];
      sum[4 + k] += mass * unwrapped[k];
    }
    if (!(atom->mask[i] & groupbit)) continue;
    *row++ = static_cast<double>(atom->tag[i]);
    for (int k = 0; k < 3; k++) *row++ = unwrapped[k];
    if (want_velocity)
      for (int k = 0; k < 3; k++) *row++ = v[i][k];
    if (want_charge) *row++ = q[i];
  }
  rows.resize(row - rows.data());
  steps.push_back(step);
  counts.push_back(static_cast<int64_t>((rows.size() - before) / width));
  sums.insert(sums.end(), sum, sum + SUMS);
  volumes.push_back(domain->dimension == 3 ? domain->xprd * domain->yprd * domain->zprd : domain->xprd * domain->yprd);
  last_sample = step;
  if (static_cast<int64_t>(steps.size()) >= link.block) deliver(link.take);
}

// Hand the block over and begin a new one.
void FixTopo::deliver(int (*function)(TopoLink *))
{
  link.samples = static_cast<int64_t>(steps.size());
  link.rows = static_cast<int64_t>(rows.size()) / link.width;
  link.step = steps.data();
  link.count = counts.data();
  link.row = rows.data();
  link.sums = sums.data();
  link.volume = volumes.data();
  call(function);
  steps.clear();
  counts.clear();
  rows.clear();
  sums.clear();
  volumes.clear();
}

// A call into Python that ends the run, on all ranks with one message, if it fails.
void FixTopo::call(int (*function)(TopoLink *))
{
  link.message[0] = link.notice[0] = '\0';
  const int status = function(&link);
  if (link.notice[0] && comm->me == 0) utils::logmesg(lmp, "fix {} topo: {}\n", id, link.notice);
  if (status) {
    failed = true;
    error->all(FLERR, "fix {} topo: {}", id, link.message);
  }
}

double FixTopo::compute_vector(int n)
{
  if (!ready || failed) return 0.0;
  if (vector_step != update->ntimestep) {
    call(link.vector_update);
    vector_step = update->ntimestep;
  }
  return values[n];
}

double FixTopo::memory_usage()
{
  return link.bytes + static_cast<double>(sizeof(double) * (rows.capacity() + sums.capacity()));
}

void FixTopo::write_restart(FILE *fp)
{
  if (comm->me) return;
  const double record[2] = {static_cast<double>(TOPO_LINK_VERSION), static_cast<double>(last_sample)};
  const int size = sizeof(record);
  fwrite(&size, sizeof(int), 1, fp);
  fwrite(record, sizeof(double), 2, fp);
}

void FixTopo::restart(char *buffer)
{
  double record[2];
  std::memcpy(record, buffer, sizeof(record));
  if (record[0] != TOPO_LINK_VERSION)
    error->all(FLERR, "fix {} topo: the restart file was written by another version of fix topo (record {}, expected {})",
               id, record[0], TOPO_LINK_VERSION);
  link.restarted = 1;
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
