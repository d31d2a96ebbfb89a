// SIGTERM, as batch queues send it some time before they kill: noted, so that the run can end in good order.

#ifndef TOPO_TERMINATION_H
#define TOPO_TERMINATION_H

namespace topo {

// Note SIGTERM from now on, once for each call of leave_sigterm(). False, and nothing is done, if the program has a
// handler of its own.
bool watch_sigterm();

// When the last one leaves, SIGTERM does again what it did before.
void leave_sigterm();

// 1 if this process got SIGTERM while it was watched, else 0.
int sigterm_came();

}    // namespace topo

#endif
