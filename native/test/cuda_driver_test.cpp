// What is looked at before the module of CUDA is loaded: the driver's version, and cuBLAS. The driver is the
// one of fake_cuda.cpp, given as first argument; the second is a folder with a cuBLAS that does nothing.
#include "cuda_driver.h"

#include <cstdlib>
#include <string>

#include "check.h"

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

nd::CudaDriver offering(const std::string& library, const char* version) {
  setenv("ND_FAKE_CUDA_VERSION", version, 1);
  return nd::askCudaDriver(library);
}

void newDriversServe(const std::string& library) {
  for (const int version : {13000, 13010, 14000}) {
    const nd::CudaDriver driver = offering(library, std::to_string(version).c_str());
    CHECK(driver.version == version);
    CHECK(nd::cudaDriverProblem(driver).empty());
  }
}

void oldDriversAreRefusedWithBothVersions(const std::string& library) {
  const std::string problem = nd::cudaDriverProblem(offering(library, "12080"));
  CHECK(contains(problem, "offers CUDA 12.8;"));
  CHECK(contains(problem, "needs CUDA 13.0 or newer,"));
  CHECK(contains(problem, "driver 580 or newer"));
  CHECK(!nd::cudaDriverProblem(offering(library, "12990")).empty());
}

void whatIsNoDriverIsToldOf(const std::string& library) {
  const nd::CudaDriver missing = nd::askCudaDriver("/nowhere/libcuda.so.1");
  CHECK(missing.version == 0);
  const std::string problem = nd::cudaDriverProblem(missing);
  CHECK(contains(problem, "no NVIDIA driver was found"));
  CHECK(contains(problem, "/nowhere/libcuda.so.1: cannot open shared object file"));
  CHECK(contains(problem, "needs CUDA 13.0 or newer,"));
  CHECK(contains(nd::askCudaDriver("libm.so.6").reason, "no cuDriverGetVersion"));
  // A driver whose kernel part is missing.
  const nd::CudaDriver broken = offering(library, "0");
  CHECK(broken.version == 0);
  CHECK(contains(nd::cudaDriverProblem(broken), "cuDriverGetVersion ended with 999"));
}

void cublasIsTakenFromWhereItIsSaid(const std::string& folder) {
  // A folder that is named counts alone, even where cuBLAS is elsewhere.
  const std::string problem = nd::openCublas("/nowhere", {folder});
  CHECK(contains(problem, "NODE_DIFFUSION_CUDA_LIBRARIES"));
  CHECK(contains(problem, "/nowhere/libcublas.so.13: cannot open shared object file"));
  CHECK(nd::openCublas("", {"/nowhere", folder}).empty());
  CHECK(nd::openCublas(folder, {}).empty());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  newDriversServe(argv[1]);
  oldDriversAreRefusedWithBothVersions(argv[1]);
  whatIsNoDriverIsToldOf(argv[1]);
  cublasIsTakenFromWhereItIsSaid(argv[2]);
  return nd::test::report();
}
