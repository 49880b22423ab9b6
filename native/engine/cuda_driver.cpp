#include "cuda_driver.h"

#include <cstdlib>
#include <filesystem>

#ifdef _WIN32
#include <windows.h>

#include <system_error>
#else
#include <dlfcn.h>
#endif

namespace nd {
namespace {

#ifdef _WIN32

constexpr const char* kDriver = "nvcuda.dll";

void* openLibrary(const std::string& file, std::string& error) {
  const DWORD before = SetErrorMode(SEM_FAILCRITICALERRORS);
  HMODULE handle = LoadLibraryA(file.c_str());
  if (handle == nullptr)
    error = file + ": " + std::system_category().message(static_cast<int>(GetLastError()));
  SetErrorMode(before);
  return handle;
}

void* findFunction(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

#else

constexpr const char* kDriver = "libcuda.so.1";

void* openLibrary(const std::string& file, std::string& error) {
  void* handle = dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle != nullptr) return handle;
  const char* text = dlerror();
  error = text == nullptr ? file + ": the system's loader refuses it" : text;
  return nullptr;
}

void* findFunction(void* library, const char* name) { return dlsym(library, name); }

#endif

constexpr const char* kCublas = "libcublas.so.13";
constexpr const char* kFolder = "NODE_DIFFUSION_CUDA_LIBRARIES";
// Of the first driver that offers CUDA 13.0, for people: it is what driver packages are called by.
constexpr const char* kDriverRelease = "580";

std::string written(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string needed() {
  return "this backend needs CUDA " + written(kCudaNeeded) + " or newer, which is driver " + kDriverRelease +
         " or newer";
}

}  // namespace

CudaDriver askCudaDriver(const std::string& library) {
  using VersionFunction = int (*)(int*);
  CudaDriver driver;
  void* handle = openLibrary(library, driver.reason);
  if (handle == nullptr) return driver;
  const auto ask = reinterpret_cast<VersionFunction>(findFunction(handle, "cuDriverGetVersion"));
  if (ask == nullptr) {
    driver.reason = library + ": it has no cuDriverGetVersion";
    return driver;
  }
  const int status = ask(&driver.version);
  if (status == 0 && driver.version > 0) return driver;
  driver.reason = library + ": cuDriverGetVersion ended with " + std::to_string(status);
  driver.version = 0;
  return driver;
}

CudaDriver askCudaDriver() { return askCudaDriver(kDriver); }

std::string cudaDriverProblem(const CudaDriver& driver) {
  if (driver.version == 0) return "no NVIDIA driver was found (" + driver.reason + "); " + needed();
  if (driver.version >= kCudaNeeded) return {};
  return "the NVIDIA driver offers CUDA " + written(driver.version) + "; " + needed();
}

std::string openCublas(const std::string& named, const std::vector<std::string>& usual) {
  std::string error;
  if (!named.empty()) {
    const std::filesystem::path file = std::filesystem::path(named) / kCublas;
    if (openLibrary(file.string(), error) != nullptr) return {};
    return "cuBLAS could not be opened where " + std::string(kFolder) + " says: " + error;
  }
  std::string first;
  if (openLibrary(kCublas, first) != nullptr) return {};
  for (const std::string& folder : usual) {
    if (openLibrary((std::filesystem::path(folder) / kCublas).string(), error) != nullptr) return {};
  }
  return "cuBLAS of CUDA 13 was not found (" + first + "); install it, or let " + kFolder +
         " name the folder that holds it";
}

std::string cudaProblem() {
  std::string driver = cudaDriverProblem(askCudaDriver());
  if (!driver.empty()) return driver;
#ifdef __linux__
  // Where NVIDIA's own packages put it; those for Debian and Fedora tell the loader too, other ways do not.
  const char* named = std::getenv(kFolder);
  return openCublas(named == nullptr ? "" : named, {"/usr/local/cuda-13/lib64", "/usr/local/cuda/lib64"});
#else
  return {};
#endif
}

}  // namespace nd
