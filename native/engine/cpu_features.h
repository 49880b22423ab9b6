// Features of the CPU module that ggml chose on this machine, e.g. {"AVX2", true}. Any thread, after the
// modules are loaded.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nd {

std::vector<std::pair<std::string, bool>> cpuFeatures();
bool hasCpuFeature(const char* name);

}  // namespace nd
