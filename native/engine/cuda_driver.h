// What the module of CUDA needs from the machine, looked at before it is loaded: an NVIDIA driver that is new
// enough, and cuBLAS. Any thread. What was opened here stays open: the module works with the same libraries,
// and taking a driver out of a process is not what drivers are tried with.
#pragma once

#include <string>
#include <vector>

namespace nd {

// As the driver counts: 1000 * major + 10 * minor. Drivers that offer it run everything of CUDA 13.
constexpr int kCudaNeeded = 13000;

struct CudaDriver {
  int version = 0;     // of CUDA, the highest that the driver offers; 0: there is none
  std::string reason;  // why there is none
};

// Asks the driver's library. `cuDriverGetVersion` is the one call that starts no driver and touches no
// device.
CudaDriver askCudaDriver(const std::string& library);
CudaDriver askCudaDriver();

// Why nothing of CUDA 13 runs on it, with the version that is there and the one that is needed; empty when it
// does.
std::string cudaDriverProblem(const CudaDriver& driver);

// Opens cuBLAS, which no package of ours holds, so that the system's loader finds it for the module: from
// `named` when that is not empty, else from where the loader looks, else from the first of `usual`. Why not;
// empty when it is open.
std::string openCublas(const std::string& named, const std::vector<std::string>& usual);

// All of it, for this system. Why the module is better not loaded; empty when nothing is known against it.
std::string cudaProblem();

}  // namespace nd
