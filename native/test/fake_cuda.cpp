// Stands for the NVIDIA driver's library where there is none: it offers the version of CUDA that
// ND_FAKE_CUDA_VERSION says (as the driver counts, default 13000) and has no device. Whoever calls more than
// that is noted in the file ND_FAKE_CUDA_LOG, by the function's name.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>

#define ND_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

void note(const char* name) {
  const char* path = std::getenv("ND_FAKE_CUDA_LOG");
  if (path == nullptr) return;
  std::ofstream(path, std::ios::app) << name << '\n';
}

int noDevice() { return kNoDevice; }

}  // namespace

ND_EXPORT int cuDriverGetVersion(int* version) {
  const char* wanted = std::getenv("ND_FAKE_CUDA_VERSION");
  *version = wanted == nullptr ? 13000 : std::atoi(wanted);
  return *version > 0 ? 0 : 999;
}

ND_EXPORT int cuInit(unsigned int) {
  note("cuInit");
  return kNoDevice;
}

ND_EXPORT int cuGetProcAddress_v2(const char* symbol, void** function, int, std::uint64_t, int* found) {
  if (std::strcmp(symbol, "cuDriverGetVersion") == 0) {
    *function = reinterpret_cast<void*>(&cuDriverGetVersion);
  } else if (std::strcmp(symbol, "cuInit") == 0) {
    *function = reinterpret_cast<void*>(&cuInit);
  } else if (std::strncmp(symbol, "cuGetProcAddress", 16) == 0) {
    *function = reinterpret_cast<void*>(&cuGetProcAddress_v2);
  } else {
    *function = reinterpret_cast<void*>(&noDevice);
  }
  if (found != nullptr) *found = 0;
  return 0;
}
