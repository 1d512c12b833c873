#include "counts.h"

#include <cstring>
#include <map>
#include <mutex>

#include "memory.h"
#include "testdevice.h"

namespace testdevice {
namespace {

struct Counts {
  struct Operation {
    int64_t launched = 0, stalled = 0;
  };
  std::map<std::string, Operation> operations;
  int64_t to_host = 0, from_host = 0;
};

std::mutex mutex;
Counts counts;

}  // namespace

void launched(const std::string& operation) {
  std::lock_guard<std::mutex> lock(mutex);
  counts.operations[operation].launched++;
}
void stalled(const std::string& cause) {
  std::lock_guard<std::mutex> lock(mutex);
  counts.operations[cause].stalled++;
}
void copied_to_host(int64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  counts.to_host += bytes;
}
void copied_from_host(int64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  counts.from_host += bytes;
}

}  // namespace testdevice

char* td_take(td_bytes* bytes) {
  using namespace testdevice;
  std::lock_guard<std::mutex> lock(mutex);
  *bytes = {counts.to_host, counts.from_host, held(), peak(), freed_early()};
  std::string lines;
  for (const auto& [name, o] : counts.operations)
    lines += name + " " + std::to_string(o.launched) + " " + std::to_string(o.stalled) + "\n";
  counts = {};
  reset_peak();
  return strdup(lines.c_str());
}
