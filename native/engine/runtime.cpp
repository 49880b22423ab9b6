#include "runtime.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "crash.h"
#include "cuda_driver.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "log.h"
#include "module_file.h"
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

#ifdef _WIN32
const std::string modulePrefix = "ggml-";
#else
const std::string modulePrefix = "libggml-";
#endif
const std::string cpuPrefix = modulePrefix + "cpu";

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

// The variant that says it fits this machine best; without variants the one module of the CPU. ggml's own
// search would load every other module of the directory too, and what GGML_BACKEND_PATH names.
fs::path bestCpu(const std::vector<fs::path>& variants) {
  fs::path best;
  int highest = 0;
  for (const fs::path& variant : variants) {
    const bool plain = variant.stem().string() == cpuPrefix;
    const int score = plain ? 1 : ModuleFile(variant).score();
    if (score > highest) {
      highest = score;
      best = variant;
    }
  }
  return best;
}

BackendReport loadCpu(const fs::path& directory, const std::vector<fs::path>& variants) {
  const std::string where = (directory / (cpuPrefix + "-*")).string();
  if (ggml_backend_reg_by_name("CPU") != nullptr) return {where, true, ""};
  const fs::path best = bestCpu(variants);
  if (best.empty()) return {where, false, "no CPU variant runs on this machine"};
  const bool loaded = ggml_backend_load(best.string().c_str()) != nullptr;
  makeLazyStatics();
  return {best.string(), loaded, loaded ? "" : "it was refused by ggml"};
}

bool registered(const fs::path& module) {
  const std::string name = module.stem().string().substr(modulePrefix.size());
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    std::string known = ggml_backend_reg_name(ggml_backend_reg_get(i));
    std::transform(known.begin(), known.end(), known.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (known == name) return true;
  }
  return false;
}

// ggml logs why a module does not load: in the words of the system's loader, or of the module itself.
BackendReport loadModule(const fs::path& module) {
  if (registered(module)) return {module.string(), true, ""};
  if (module.stem().string() == modulePrefix + "cuda") {
    const std::string problem = cudaProblem();
    if (!problem.empty()) return {module.string(), false, problem};
  }
  const ModuleFile file(module);
  if (!file.error().empty()) return {module.string(), false, file.error()};
  takeErrorLines();
  if (ggml_backend_load(module.string().c_str()) != nullptr) return {module.string(), true, ""};
  const std::string why = takeErrorLines();
  const std::string unknown = "it could not be started; its driver may be missing or too old";
  return {module.string(), false, why.empty() ? unknown : why};
}

}  // namespace

std::vector<BackendReport> loadBackends(const std::string& directory, const std::vector<std::string>& skip) {
  Runtime& process = runtime();
  const std::lock_guard lock(process.mutex);
  std::call_once(process.callbacks, [] {
    installCallbacks();
    reportAborts();
  });
  const auto known = process.reports.find(directory);
  if (known != process.reports.end()) return known->second;
  std::vector<fs::path> cpu;
  std::vector<fs::path> others;
  for (const fs::path& module : modulesOf(directory)) {
    if (module.filename().string().starts_with(cpuPrefix))
      cpu.push_back(module);
    else if (std::find(skip.begin(), skip.end(), module.string()) == skip.end())
      others.push_back(module);
  }
  std::vector<BackendReport> reports;
  if (!cpu.empty()) reports.push_back(loadCpu(directory, cpu));
  for (const fs::path& module : others) reports.push_back(loadModule(module));
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

void stopBackendThreads() {
  std::vector<void (*)()> stops;
  {
    const std::lock_guard lock(runtime().mutex);
    for (size_t i = 0; i < ggml_backend_reg_count(); ++i)
      stops.push_back(reinterpret_cast<void (*)()>(
          ggml_backend_reg_get_proc_address(ggml_backend_reg_get(i), "ggml_backend_openvino_stop")));
  }
  for (const auto stop : stops)
    if (stop != nullptr) stop();
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
