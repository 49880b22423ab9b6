#include "runtime.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "crash.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "upstream.h"

namespace nd {
namespace {

namespace fs = std::filesystem;

struct Runtime {
  std::mutex mutex;
  std::map<std::string, std::vector<BackendReport>> reports;  // by directory
  std::once_flag callbacks;
};

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

constexpr const char* modulePrefix = "libggml-";
constexpr const char* cpuPrefix = "libggml-cpu-";

using ScoreFunction = int (*)();

std::vector<fs::path> modulesOf(const fs::path& directory) {
  std::vector<fs::path> modules;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    const std::string extension = entry.path().extension().string();
    const bool library = extension == ".so" || extension == ".dylib" || extension == ".dll";
    if (library && name.starts_with(modulePrefix)) modules.push_back(entry.path());
  }
  std::sort(modules.begin(), modules.end());
  return modules;
}

// The CPU module makes a static list at its first graph. Made now, it is older than any exit handler of ours,
// so a graph that still runs while the process exits does not find it destroyed.
void makeLazyStatics() {
  ggml_backend_reg_t registry = ggml_backend_reg_by_name("CPU");
  if (registry == nullptr || ggml_backend_reg_dev_count(registry) == 0) return;
  const auto extraBufferTypes = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"));
  if (extraBufferTypes != nullptr) extraBufferTypes(ggml_backend_reg_dev_get(registry, 0));
}

// ggml picks the best CPU variant of a directory by each module's own score; the file it took is not told.
BackendReport loadCpu(const fs::path& directory) {
  const std::string where = (directory / (std::string(cpuPrefix) + "*")).string();
  if (ggml_backend_reg_by_name("CPU") != nullptr) return {where, true, ""};
  ggml_backend_load_all_from_path(directory.string().c_str());
  const bool loaded = ggml_backend_reg_by_name("CPU") != nullptr;
  makeLazyStatics();
  return {where, loaded, loaded ? "" : "no CPU variant runs on this machine"};
}

bool registered(const fs::path& module) {
  std::string name = module.stem().string().substr(std::string(modulePrefix).size());
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    std::string known = ggml_backend_reg_name(ggml_backend_reg_get(i));
    std::transform(known.begin(), known.end(), known.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (known == name) return true;
  }
  return false;
}

BackendReport loadModule(const fs::path& module) {
  if (registered(module) || ggml_backend_load(module.string().c_str()) != nullptr)
    return {module.string(), true, ""};
  return {module.string(), false,
          "the module could not be loaded; a driver or library that it needs may be missing"};
}

}  // namespace

std::vector<BackendReport> loadBackends(const std::string& directory) {
  Runtime& process = runtime();
  const std::lock_guard lock(process.mutex);
  std::call_once(process.callbacks, [] {
    installCallbacks();
    reportAborts();
  });
  const auto known = process.reports.find(directory);
  if (known != process.reports.end()) return known->second;
  std::vector<BackendReport> reports;
  const std::vector<fs::path> modules = modulesOf(directory);
  const auto isCpu = [](const fs::path& module) {
    return module.filename().string().starts_with("libggml-cpu");
  };
  if (std::any_of(modules.begin(), modules.end(), isCpu)) reports.push_back(loadCpu(directory));
  for (const fs::path& module : modules) {
    if (!isCpu(module)) reports.push_back(loadModule(module));
  }
  process.reports[directory] = reports;
  return reports;
}

std::vector<Device> devices() {
  std::vector<Device> list;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t handle = ggml_backend_dev_get(i);
    Device device;
    device.name = ggml_backend_dev_name(handle);
    device.description = ggml_backend_dev_description(handle);
    switch (ggml_backend_dev_type(handle)) {
      case GGML_BACKEND_DEVICE_TYPE_CPU:
        device.type = "cpu";
        break;
      case GGML_BACKEND_DEVICE_TYPE_GPU:
        device.type = "gpu";
        break;
      case GGML_BACKEND_DEVICE_TYPE_IGPU:
        device.type = "igpu";
        break;
      default:
        device.type = "accel";
    }
    device.backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(handle));
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(handle, &free, &total);
    device.memoryFree = free;
    device.memoryTotal = total;
    list.push_back(std::move(device));
  }
  return list;
}

std::string describeBackend(const std::string& name) {
  ggml_backend_reg_t registry = ggml_backend_reg_by_name(name.c_str());
  if (registry == nullptr) return {};
  const std::string wanted = "ggml_backend_" + name + "_describe";
  const auto describe =
      reinterpret_cast<const char* (*)()>(ggml_backend_reg_get_proc_address(registry, wanted.c_str()));
  return describe == nullptr ? std::string() : describe();
}

Versions versions() {
#if defined(__clang__)
  const std::string compiler = std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
  const std::string compiler = std::string("gcc ") + __VERSION__;
#else
  const std::string compiler = "unknown";
#endif
  return {ND_ENGINE_PACKAGE, ND_ENGINE_COMMIT, ggml_version(), ggml_commit(), compiler};
}

}  // namespace nd
