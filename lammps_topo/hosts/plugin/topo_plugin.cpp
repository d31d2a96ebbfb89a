// Registration with LAMMPS's plugin loader, and the guard against a LAMMPS that the shim was not built for.

#include "fix_topo.h"

#include "exceptions.h"
#include "lammps.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>

#ifndef TOPO_LAMMPS_VERSION
#error "TOPO_LAMMPS_VERSION (a number such as 20250722) must name the LAMMPS of the headers"
#endif

namespace {

// The plugin loader's record. Its header is not installed with LAMMPS; the layout is that of lammpsplugin.h.
extern "C" {
typedef void *(lammpsplugin_factory1) (void *);
typedef void *(lammpsplugin_factory2) (void *, int, char **);
struct lammpsplugin_t {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;
    lammpsplugin_factory2 *v2;
  } creator;
  void *handle;
};
typedef void (*lammpsplugin_regfunc)(lammpsplugin_t *, void *);
}

void *create_fix(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::FixTopo(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

int running_version(void *lmp)
{
  using Version = int (*)(void *);
  const auto version = reinterpret_cast<Version>(dlsym(RTLD_DEFAULT, "lammps_version"));
  return version ? version(lmp) : 0;
}

// The two families of MPI differ in what their handles are: a shim for the other one would crash.
#ifdef OPEN_MPI
const char *const BUILT_FOR = "Open MPI";
#else
const char *const BUILT_FOR = "MPICH";    // and its descendants
#endif

// By what only they have: the names that vendors give to their library are many.
const char *running_mpi()
{
  if (dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world")) return "Open MPI";
  if (dlsym(RTLD_DEFAULT, "MPI_Comm_create_keyval")) return "MPICH";
  return dlsym(RTLD_DEFAULT, "MPI_Init") ? "its own STUBS" : BUILT_FOR;
}

// No call of an MPI whose handles are unknown: the launchers tell the rank.
void *refuse_mpi(void *, int, char **)
{
  const std::string text = std::string("fix topo was built with the mpi.h of ") + BUILT_FOR +
      ", but this LAMMPS runs on " + running_mpi() +
      "; run 'lammps-topo build-plugin' with --include and --mpi, the folder of the mpi.h that LAMMPS was built with";
  const char *rank = nullptr;
  for (const char *name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (!rank) rank = getenv(name);
  if (!rank || std::strcmp(rank, "0") == 0) std::fprintf(stderr, "ERROR: %s\n", text.c_str());
  throw LAMMPS_NS::LAMMPSException(text);
}

// Classes may be laid out differently in another version: touch none but the exception that ends a run in good order.
void *refuse_fix(void *lmp, int, char **)
{
  const std::string text = "fix topo was built for LAMMPS version " + std::to_string(TOPO_LAMMPS_VERSION) +
      ", but this is LAMMPS version " + std::to_string(running_version(lmp)) +
      "; run 'lammps-topo build-plugin' for this LAMMPS (see 'lammps-topo doctor')";
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) std::fprintf(stderr, "ERROR: %s\n", text.c_str());
  throw LAMMPS_NS::LAMMPSException(text);
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  static const std::string version = TOPO_LAMMPS_NAME;
  lammpsplugin_t plugin{};
  plugin.version = version.c_str();
  plugin.style = "fix";
  plugin.name = "topo";
  plugin.info = "ionic charge transport on the fly (lammps_topo)";
  plugin.author = "lammps_topo developers";
  plugin.creator.v2 = std::strcmp(running_mpi(), BUILT_FOR) != 0 ? &refuse_mpi
      : running_version(lmp) != TOPO_LAMMPS_VERSION              ? &refuse_fix
                                                                 : &create_fix;
  plugin.handle = handle;
  reinterpret_cast<lammpsplugin_regfunc>(regfunc)(&plugin, lmp);
}
