// No Python headers and no link to libpython: the few functions are looked up at run time, so that one shim serves
// every Python, whether LAMMPS is driven by it (its symbols are there) or lmp embeds it (libpython is opened).

#include "python_host.h"
#include "topo_link.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>

namespace {

struct Api {
  int (*is_initialized)() = nullptr;
  wchar_t *(*decode_locale)(const char *, size_t *) = nullptr;
  void (*set_program_name)(const wchar_t *) = nullptr;
  void (*initialize)(int) = nullptr;
  int (*gil_ensure)() = nullptr;
  void (*gil_release)(int) = nullptr;
  int (*run_string)(const char *, void *) = nullptr;
};

template <typename F> void lookup(void *library, F &function, const char *name)
{
  function = reinterpret_cast<F>(dlsym(library, name));
}

Api api_of(void *library)
{
  Api api;
  lookup(library, api.is_initialized, "Py_IsInitialized");
  lookup(library, api.decode_locale, "Py_DecodeLocale");
  lookup(library, api.set_program_name, "Py_SetProgramName");
  lookup(library, api.initialize, "Py_InitializeEx");
  lookup(library, api.gil_ensure, "PyGILState_Ensure");
  lookup(library, api.gil_release, "PyGILState_Release");
  lookup(library, api.run_string, "PyRun_SimpleStringFlags");
  return api;
}

// A setting: from the environment (set by the lammps.plugins entry point), else from topoplugin.cfg beside this library
// (written by lammps-topo build-plugin).
std::string setting(const char *variable, const std::string &key)
{
  if (const char *value = getenv(variable)) return value;
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&api_of), &info) || !info.dli_fname) return "";
  const std::string path = info.dli_fname;
  const auto slash = path.rfind('/');
  std::ifstream file((slash == std::string::npos ? std::string(".") : path.substr(0, slash)) + "/topoplugin.cfg");
  for (std::string line; std::getline(file, line);)
    if (line.rfind(key + "=", 0) == 0) return line.substr(key.size() + 1);
  return "";
}

// Embed the Python that lammps_topo is installed for. Empty string, or what is missing.
std::string embed(Api &api)
{
  const std::string library = setting("LAMMPS_TOPO_LIBPYTHON", "libpython");
  const std::string program = setting("LAMMPS_TOPO_PYTHON", "python");
  const std::string advice =
      "; 'lammps-topo doctor' says more, and 'lammps-topo lmp -in ...' runs the same input without embedding";
  if (library.empty())
    return "the Python of lammps_topo has no shared libpython that can be embedded into lmp" + advice;
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!handle) return "libpython cannot be opened: " + std::string(dlerror()) + advice;
  api = api_of(handle);
  if (!api.initialize || !api.run_string || !api.set_program_name || !api.decode_locale || !api.gil_ensure ||
      !api.gil_release)
    return "'" + library + "' lacks functions to embed Python" + advice;
  // a rank is one thread of work unless the user says otherwise
  setenv("OPENBLAS_NUM_THREADS", "1", 0);
  setenv("MKL_NUM_THREADS", "1", 0);
  if (!program.empty()) api.set_program_name(api.decode_locale(program.c_str(), nullptr));
  // 0: signal handlers stay LAMMPS's. This thread keeps the interpreter's lock, as where LAMMPS's own package PYTHON
  // begins it: that package finalizes whatever interpreter it finds at the end, and needs the lock for it.
  // So LAMMPS must be run by the thread that defined the fix
  api.initialize(0);
  return "";
}

}    // namespace

std::string topo::connect(TopoLink *link)
{
  Api api = api_of(RTLD_DEFAULT);
  if (!api.is_initialized || !api.is_initialized()) {
    const std::string problem = embed(api);
    if (!problem.empty()) return problem;
  }
  char code[1024];
  std::snprintf(code, sizeof(code),
                "try:\n"
                "    import lammps_topo.hosts.native as _lammps_topo_native\n"
                "    _lammps_topo_native.connect(%llu)\n"
                "except BaseException as _lammps_topo_error:\n"
                "    import ctypes as _c, sys as _s\n"
                "    _t = f'{type(_lammps_topo_error).__name__}: {_lammps_topo_error} (Python {_s.prefix})'\n"
                "    _c.memmove(%llu, _t.encode()[:%d] + b'\\0', min(len(_t.encode()), %d) + 1)\n",
                static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(link)),
                static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(link->message)),
                TOPO_MESSAGE_LENGTH - 1, TOPO_MESSAGE_LENGTH - 1);
  link->message[0] = '\0';
  const int gil = api.gil_ensure();
  const int failed = api.run_string(code, nullptr);
  api.gil_release(gil);
  if (link->message[0]) return "lammps_topo cannot be loaded: " + std::string(link->message);
  if (failed || !link->create) return "lammps_topo cannot be loaded into Python";
  return "";
}
