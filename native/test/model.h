// The embedded model for tests: where its files are, options and requests that cost little. The lifted files
// are given as ND_TEST_CHECKPOINT and ND_TEST_TAESD (scripts/tools/testers.mjs).
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "upstream.h"

namespace nd::test {

constexpr int skipped = 77;

// Says what is missing, and returns false, where a test that needs the model was started without it.
inline bool hasModel(int argc, const char* name) {
  if (argc >= 2 && std::getenv("ND_TEST_CHECKPOINT") != nullptr && std::getenv("ND_TEST_TAESD") != nullptr)
    return true;
  std::printf("usage: ND_TEST_CHECKPOINT=… ND_TEST_TAESD=… %s MODULE_DIRECTORY\n", name);
  return false;
}

inline LoadOptions loadOptions() {
  LoadOptions load;
  load.files.checkpoint = std::getenv("ND_TEST_CHECKPOINT");
  load.files.taesd = std::getenv("ND_TEST_TAESD");
  load.device = "CPU";
  load.threads = 1;
  load.rng = "cpu";
  return load;
}

inline EncodePromptParams prompt(const std::string& text) {
  EncodePromptParams params;
  params.prompt = text;
  params.width = params.height = 64;
  return params;
}

// 64x64 pixels, without guidance.
inline SampleParams sampleRequest(Model& model, std::shared_ptr<const Conditioning> cond, int steps,
                                  int64_t seed) {
  SigmaParams schedule;
  schedule.steps = steps;
  schedule.width = schedule.height = 64;
  schedule.flowShift = NAN;
  SampleParams params;
  params.cond = std::move(cond);
  params.latent = {{1, 4, 8, 8}, std::vector<float>(4 * 8 * 8, 0.0F)};
  params.seed = seed;
  params.sigmas = model.sigmas(schedule);
  params.sampler = "euler";
  params.eta = params.imageCfgScale = params.flowShift = NAN;
  params.cacheThreshold = params.cacheStart = params.cacheEnd = NAN;
  params.cfgScale = 1.0F;
  return params;
}

inline std::vector<uint8_t> bytesOf(const Image& image) {
  return {image.data.get(), image.data.get() + image.bytes()};
}

}  // namespace nd::test
