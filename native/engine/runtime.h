// The process-wide part: backend modules, devices, versions. The one place with process-wide state of ours (a
// ggml registry exists once per process, whatever we do). Any thread; loading is serialised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nd {

struct BackendReport {
  std::string file;
  bool loaded = false;
  std::string reason;  // empty when loaded
};

struct Device {
  std::string name;
  std::string description;
  std::string type;     // cpu, gpu, igpu, accel
  std::string backend;  // CPU, CUDA, Vulkan…
  uint64_t memoryFree = 0;
  uint64_t memoryTotal = 0;
};

struct Versions {
  std::string engine;  // the pinned package the source came from
  std::string engineCommit;
  std::string ggml;
  std::string ggmlCommit;
  std::string compiler;
};

// Loads every backend module (libggml-*) of a directory, given by absolute path, but for those of `skip`; of
// several CPU variants the best that this machine can run. A module that fails to load does not keep the
// others from loading. Later calls report again.
std::vector<BackendReport> loadBackends(const std::string& directory,
                                        const std::vector<std::string>& skip = {});
std::vector<Device> devices();
// What a backend tells of the library behind it, JSON; empty for a backend that is not loaded or tells
// nothing.
std::string describeBackend(const std::string& name);
// Ends threads of the backends' own that work for no job. They may start others for what is loaded later.
void stopBackendThreads();
Versions versions();

}  // namespace nd
