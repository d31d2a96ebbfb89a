// The Python interpreter that analyses: the running one, or one embedded into lmp.

#ifndef TOPO_PYTHON_HOST_H
#define TOPO_PYTHON_HOST_H

#include <string>

struct TopoLink;

namespace topo {

// Start or find Python and let lammps_topo.hosts.native fill in the callbacks of the link.
// Returns an empty string, or one sentence that says what is missing.
std::string connect(TopoLink *link);

}    // namespace topo

#endif
