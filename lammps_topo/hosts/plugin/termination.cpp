#include "termination.h"

#include <csignal>
#include <ctime>

namespace {

volatile std::sig_atomic_t came = 0;
std::time_t since = 0;
struct sigaction before;
int watching = 0;
bool installed = false;

std::time_t seconds()
{
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

// A second one kills, unless it comes at once: launchers pass on what the queue has sent to everybody already.
void note(int signal)
{
  constexpr std::time_t AT_ONCE = 1;
  if (!came) {
    came = 1;
    since = seconds();
  } else if (seconds() > since + AT_ONCE) {
    sigaction(signal, &before, nullptr);
    raise(signal);
  }
}

}    // namespace

bool topo::watch_sigterm()
{
  if (watching++) return installed;
  came = 0;
  struct sigaction action{};
  if (sigaction(SIGTERM, nullptr, &before) || before.sa_handler != SIG_DFL) return false;
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  installed = sigaction(SIGTERM, &action, nullptr) == 0;
  return installed;
}

void topo::leave_sigterm()
{
  if (--watching || !installed) return;
  installed = false;
  struct sigaction now{};
  // another's handler that came later stays
  if (!sigaction(SIGTERM, nullptr, &now) && now.sa_handler == note) sigaction(SIGTERM, &before, nullptr);
}

int topo::sigterm_came()
{
  return came;
}
