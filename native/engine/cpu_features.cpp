// With backend modules the CPU code is loaded at run time, so the functions that ggml-cpu.h declares do not
// exist at link time; the engine's util.cpp wants them for its system report, its convert.cpp a CPU backend.
// They answer from the loaded module's own feature list and from the registry.
#include "cpu_features.h"

#include <cstring>

#include "ggml-backend.h"

namespace nd {

std::vector<std::pair<std::string, bool>> cpuFeatures() {
  std::vector<std::pair<std::string, bool>> features;
  ggml_backend_reg_t registry = ggml_backend_reg_by_name("CPU");
  if (registry == nullptr) return features;
  const auto list = reinterpret_cast<ggml_backend_get_features_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_get_features"));
  if (list == nullptr) return features;
  for (const ggml_backend_feature* feature = list(registry); feature != nullptr && feature->name != nullptr;
       ++feature) {
    features.emplace_back(feature->name, std::strcmp(feature->value, "0") != 0);
  }
  return features;
}

bool hasCpuFeature(const char* name) {
  for (const auto& [feature, present] : cpuFeatures()) {
    if (feature == name) return present;
  }
  return false;
}

}  // namespace nd

extern "C" {
ggml_backend_t ggml_backend_cpu_init() {
  return ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
}

int ggml_cpu_has_sse3() { return static_cast<int>(nd::hasCpuFeature("SSE3")); }
int ggml_cpu_has_avx() { return static_cast<int>(nd::hasCpuFeature("AVX")); }
int ggml_cpu_has_avx2() { return static_cast<int>(nd::hasCpuFeature("AVX2")); }
int ggml_cpu_has_avx512() { return static_cast<int>(nd::hasCpuFeature("AVX512")); }
int ggml_cpu_has_avx512_vbmi() { return static_cast<int>(nd::hasCpuFeature("AVX512_VBMI")); }
int ggml_cpu_has_avx512_vnni() { return static_cast<int>(nd::hasCpuFeature("AVX512_VNNI")); }
int ggml_cpu_has_fma() { return static_cast<int>(nd::hasCpuFeature("FMA")); }
int ggml_cpu_has_neon() { return static_cast<int>(nd::hasCpuFeature("NEON")); }
int ggml_cpu_has_arm_fma() { return static_cast<int>(nd::hasCpuFeature("ARM_FMA")); }
int ggml_cpu_has_f16c() { return static_cast<int>(nd::hasCpuFeature("F16C")); }
int ggml_cpu_has_fp16_va() { return static_cast<int>(nd::hasCpuFeature("FP16_VA")); }
int ggml_cpu_has_wasm_simd() { return static_cast<int>(nd::hasCpuFeature("WASM_SIMD")); }
int ggml_cpu_has_vsx() { return static_cast<int>(nd::hasCpuFeature("VSX")); }
}
