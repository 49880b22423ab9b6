// Every operation and pattern of the OpenVINO backend against ggml's CPU backend, on random shapes. The
// largest difference must be at most 1e-4 of the largest value; where ggml's own kernel is coarser than that
// (tables and activations in f16), the reference is written out of finer operations.
#pragma once

#include <algorithm>
#include <tuple>

#include "check.h"
#include "openvino_net.h"

namespace nd::test {

// Every type of weights that the loaders let through (lib/model/format/ggml-types.ts) and ggml can make.
constexpr ggml_type kWeightTypes[] = {
    GGML_TYPE_F32,     GGML_TYPE_F16,    GGML_TYPE_BF16,  GGML_TYPE_Q8_0,    GGML_TYPE_Q4_0,
    GGML_TYPE_Q4_1,    GGML_TYPE_Q5_0,   GGML_TYPE_Q5_1,  GGML_TYPE_Q2_K,    GGML_TYPE_Q3_K,
    GGML_TYPE_Q4_K,    GGML_TYPE_Q5_K,   GGML_TYPE_Q6_K,  GGML_TYPE_IQ1_S,   GGML_TYPE_IQ1_M,
    GGML_TYPE_IQ2_XXS, GGML_TYPE_IQ2_XS, GGML_TYPE_IQ2_S, GGML_TYPE_IQ3_XXS, GGML_TYPE_IQ3_S,
    GGML_TYPE_IQ4_NL,  GGML_TYPE_IQ4_XS, GGML_TYPE_TQ1_0, GGML_TYPE_TQ2_0,   GGML_TYPE_MXFP4,
    GGML_TYPE_NVFP4};

using Build = std::function<ggml_tensor*(Net&)>;

struct Case {
  std::string name;
  Build build;
  bool covered = true;  // OpenVINO computes all of it
};

constexpr double kTolerance = 1e-4;

inline bool sane(double error) { return error <= kTolerance; }

inline void run(const Backends& backends, const Case& given, uint64_t seed) {
  Net wanted(backends.cpu.get(), true, seed);
  Net got(backends.openvino.get(), false, seed);
  wanted.build({given.build(wanted)});
  got.build({given.build(got)});
  const double before = backends.figure("uncoveredNodes");
  const bool computed = wanted.compute() == GGML_STATUS_SUCCESS && got.compute() == GGML_STATUS_SUCCESS;
  const double error = computed ? relativeError(got.read(), wanted.read()) : INFINITY;
  const bool covered = backends.figure("uncoveredNodes") == before;
  if (!sane(error) || covered != given.covered)
    std::fprintf(stderr, "%s, seed %llu: relative error %g, %s\n", given.name.c_str(),
                 static_cast<unsigned long long>(seed), error, covered ? "covered" : "not covered");
  CHECK(sane(error));
  CHECK(covered == given.covered);
}

using AddCases = void (*)(std::vector<Case>&);

// Exit code; the arguments are the folder of the modules and, for one case alone, its name.
inline int runCases(const std::vector<AddCases>& groups, int count, char** arguments) {
  const Backends backends(count > 1 ? arguments[1] : ".");
  if (!backends.cpu || !backends.openvino) return 1;
  std::vector<Case> cases;
  for (const AddCases add : groups) add(cases);
  const std::string only = count > 2 ? arguments[2] : "";
  const uint64_t seed = testSeed();
  constexpr int rounds = 4;
  for (const Case& each : cases)
    for (int round = 0; round < rounds; ++round)
      if (only.empty() || each.name == only) run(backends, each, seed + static_cast<uint64_t>(round));
  std::printf("%zu cases, %d rounds\n", cases.size(), rounds);
  return report();
}

}  // namespace nd::test
