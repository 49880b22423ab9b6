// The engine interface on the embedded model: load, encode, sample, decode, cancel, two models at once. The
// lifted files are given as ND_TEST_CHECKPOINT and ND_TEST_TAESD (scripts/tools/testers.mjs); without them
// the test counts as skipped.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "check.h"
#include "cpu_features.h"
#include "runtime.h"
#include "upstream.h"

namespace {

constexpr int skipped = 77;

class TestJob : public nd::Job {
 public:
  void onProgress(const nd::Progress& progress) override {
    ++events;
    if (progress.phase == cancelIn && progress.step >= cancelAt) cancel();
  }
  void onPreview(int /*step*/, nd::Image image) override {
    if (image) ++previews;
  }
  int events = 0;
  int previews = 0;
  nd::Phase cancelIn = nd::Phase::Upscale;  // never
  int cancelAt = 0;
};

nd::LoadOptions options() {
  nd::LoadOptions load;
  load.files.checkpoint = std::getenv("ND_TEST_CHECKPOINT");
  load.files.taesd = std::getenv("ND_TEST_TAESD");
  load.device = "CPU";
  load.threads = 1;
  load.rng = "cpu";
  return load;
}

nd::SampleParams request(nd::Model& model, nd::Job& job, int64_t seed) {
  nd::EncodePromptParams prompt;
  prompt.prompt = "a red apple";
  prompt.width = prompt.height = 64;
  nd::SigmaParams schedule;
  schedule.steps = 3;
  schedule.width = schedule.height = 64;
  schedule.flowShift = NAN;
  nd::SampleParams params;
  params.cond = model.encodePrompt(prompt, job);
  prompt.prompt.clear();
  params.uncond = model.encodePrompt(prompt, job);
  params.latent = {{1, 4, 8, 8}, std::vector<float>(4 * 8 * 8, 0.0F)};
  params.seed = seed;
  params.sigmas = model.sigmas(schedule);
  params.sampler = "euler";
  params.eta = params.imageCfgScale = params.flowShift = NAN;
  params.cacheThreshold = params.cacheStart = params.cacheEnd = NAN;
  params.cfgScale = 3.0F;
  return params;
}

std::vector<uint8_t> draw(nd::Model& model, int64_t seed) {
  TestJob job;
  nd::DecodeParams decode;
  decode.latent = model.sample(request(model, job, seed), job);
  const nd::Image image = model.decodeLatent(decode, job);
  CHECK(image.width == 64 && image.height == 64 && image.channels == 3);
  return {image.data.get(), image.data.get() + image.bytes()};
}

void cancelsAndGoesOn(nd::Model& model) {
  const auto before = draw(model, 7);
  TestJob job;
  nd::SampleParams params = request(model, job, 7);
  job.cancelIn = nd::Phase::Sample;
  job.cancelAt = 1;
  bool aborted = false;
  try {
    model.sample(params, job);
  } catch (const nd::EngineError& error) {
    aborted = error.code() == nd::ErrorCode::Aborted;
  }
  CHECK(aborted);
  CHECK(draw(model, 7) == before);
  CHECK(draw(model, 8) != before);
}

void previews(nd::Model& model) {
  TestJob job;
  nd::SampleParams params = request(model, job, 1);
  params.preview = "proj";
  params.previewInterval = 1;
  model.sample(params, job);
  CHECK(job.previews == 3);
}

void twoModelsAtOnce(nd::Model& first) {
  TestJob job;
  const auto second = nd::Model::load(options(), job);
  const auto alone = draw(first, 3);
  std::vector<uint8_t> here;
  std::vector<uint8_t> there;
  std::thread thread([&] { there = draw(*second, 3); });
  here = draw(first, 3);
  thread.join();
  CHECK(here == alone);
  CHECK(there == alone);
}

void refusesBadFiles() {
  TestJob job;
  nd::LoadOptions bad = options();
  bad.files.taesd.clear();
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(bad, job); }));  // no VAE anywhere
  bad.device = "no such device";
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(bad, job); }));
  job.cancel();
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(options(), job); }));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || std::getenv("ND_TEST_CHECKPOINT") == nullptr || std::getenv("ND_TEST_TAESD") == nullptr) {
    std::puts("usage: ND_TEST_CHECKPOINT=… ND_TEST_TAESD=… engine_test MODULE_DIRECTORY");
    return skipped;
  }
  const auto reports = nd::loadBackends(argv[1]);
  CHECK(!reports.empty() && reports.front().loaded);
  CHECK(nd::loadBackends(argv[1]).size() == reports.size());
  CHECK(!nd::devices().empty());
  CHECK(nd::cpuFeatures().size() > 1);
  TestJob job;
  const auto model = nd::Model::load(options(), job);
  CHECK(job.events > 0);
  CHECK(model->info().architecture == "SD 1.x Tiny UNet");
  CHECK(model->info().latentChannels == 4 && model->info().scaleFactor == 8);
  cancelsAndGoesOn(*model);
  previews(*model);
  twoModelsAtOnce(*model);
  refusesBadFiles();
  return nd::test::report();
}
