// The engine interface on the embedded model (model.h): load, encode, sample, decode, cancel, two models at
// once. Without the model the test counts as skipped.
#include <array>
#include <chrono>
#include <thread>

#include "check.h"
#include "cpu_features.h"
#include "model.h"
#include "runtime.h"

namespace {

class TestJob : public nd::Job {
 public:
  void onProgress(const nd::Progress& progress) override {
    ++events;
    last = progress;
    if (progress.phase == cancelIn && progress.step >= cancelAt) cancel();
  }
  void onPreview(int /*step*/, nd::Image image) override {
    if (image) ++previews;
  }
  nd::Progress last;
  int events = 0;
  int previews = 0;
  nd::Phase cancelIn = nd::Phase::Upscale;  // never
  int cancelAt = 0;
};

// With guidance.
nd::SampleParams request(nd::Model& model, nd::Job& job, int64_t seed) {
  auto params =
      nd::test::sampleRequest(model, model.encodePrompt(nd::test::prompt("a red apple"), job), 3, seed);
  params.uncond = model.encodePrompt(nd::test::prompt(""), job);
  params.cfgScale = 3.0F;
  return params;
}

std::vector<uint8_t> draw(nd::Model& model, int64_t seed) {
  TestJob job;
  nd::DecodeParams decode;
  decode.latent = model.sample(request(model, job, seed), job);
  const nd::Image image = model.decodeLatent(decode, job);
  CHECK(image.width == 64 && image.height == 64 && image.channels == 3);
  return nd::test::bytesOf(image);
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

// Cancels from another thread a while after the phase begins; true when that aborted the operation.
template <typename Operation>
bool abortsWithin(std::chrono::milliseconds delay, Operation operation) {
  TestJob job;
  std::thread thread([&] {
    std::this_thread::sleep_for(delay);
    job.cancel();
  });
  bool aborted = false;
  try {
    operation(job);
  } catch (const nd::EngineError& error) {
    aborted = error.code() == nd::ErrorCode::Aborted;
  }
  thread.join();
  return aborted;
}

// 40 chunks of 77 tokens take seconds: only a text encoder that stops in the middle is back in time.
void stopsTheTextEncoder(nd::Model& model) {
  const auto before = draw(model, 7);
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "apple ";
  TestJob whole;
  auto start = std::chrono::steady_clock::now();
  model.encodePrompt(nd::test::prompt(text), whole);
  const auto all = std::chrono::steady_clock::now() - start;
  start = std::chrono::steady_clock::now();
  CHECK(abortsWithin(std::chrono::milliseconds(30),
                     [&](nd::Job& job) { model.encodePrompt(nd::test::prompt(text), job); }));
  CHECK(std::chrono::steady_clock::now() - start < all / 4);
  CHECK(draw(model, 7) == before);
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
  const auto second = nd::Model::load(nd::test::loadOptions(), job);
  const auto alone = draw(first, 3);
  std::vector<uint8_t> here;
  std::vector<uint8_t> there;
  std::thread thread([&] { there = draw(*second, 3); });
  here = draw(first, 3);
  thread.join();
  CHECK(here == alone);
  CHECK(there == alone);
}

constexpr std::array handedOver{"euler",         "euler_a",   "heun",          "dpm2",    "dpm++2s_a",
                                "dpm++2m",       "dpm++2mv2", "ipndm",         "ipndm_v", "lcm",
                                "ddim_trailing", "tcd",       "res_multistep", "res_2s",  "er_sde"};

// Whatever a sampler remembers of its steps, and whatever it draws: another model of the same weights that
// goes on makes what one model makes.
void handsRunsOver(nd::Model& first) {
  TestJob job;
  const auto second = nd::Model::load(nd::test::loadOptions(), job);
  for (const char* sampler : handedOver) {
    nd::SampleParams params = request(first, job, 11);
    params.sampler = sampler;
    params.mask = nd::Tensor{{1, 1, 8, 8}, std::vector<float>(64, 0.5F)};
    const nd::Tensor whole = first.sample(params, job);
    params.stopAfter = 2;
    TestJob before;
    params.predictions = first.sample(params, before);
    CHECK(before.last.step == 2 && before.last.total == 2);
    CHECK(params.predictions->shape[0] >= 2 && params.predictions->shape[3] == 8);
    params.stopAfter = 0;
    params.cond = second->encodePrompt(nd::test::prompt("a red apple"), job);
    params.uncond = second->encodePrompt(nd::test::prompt(""), job);
    TestJob after;
    params.preview = "proj";
    CHECK(second->sample(params, after).data == whole.data);
    CHECK(after.last.step == 1 && after.last.total == 1 && after.previews == 1);
    params.preview.clear();
    params.cond = second->encodePrompt(nd::test::prompt("a blue car"), job);
    CHECK(second->sample(params, job).data != whole.data);
    TestJob stopped;
    stopped.cancelIn = nd::Phase::Sample;
    stopped.cancelAt = 1;
    params.stopAfter = 2;
    params.predictions.reset();
    CHECK(nd::test::throws<nd::EngineError>([&] { first.sample(params, stopped); }));
  }
}

void refusesBadFiles() {
  TestJob job;
  nd::LoadOptions bad = nd::test::loadOptions();
  bad.files.taesd.clear();
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(bad, job); }));  // no VAE anywhere
  bad.device = "no such device";
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(bad, job); }));
  job.cancel();
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::Model::load(nd::test::loadOptions(), job); }));
}

}  // namespace

int main(int argc, char** argv) {
  if (!nd::test::hasModel(argc, "engine_test")) return nd::test::skipped;
  const auto reports = nd::loadBackends(argv[1]);
  CHECK(!reports.empty() && reports.front().loaded);
  CHECK(nd::loadBackends(argv[1]).size() == reports.size());
  CHECK(!nd::devices().empty());
  CHECK(nd::cpuFeatures().size() > 1);
  TestJob job;
  const auto model = nd::Model::load(nd::test::loadOptions(), job);
  CHECK(job.events > 0);
  CHECK(model->info().architecture == "SD 1.x Tiny UNet");
  CHECK(model->info().latentChannels == 4 && model->info().scaleFactor == 8);
  cancelsAndGoesOn(*model);
  stopsTheTextEncoder(*model);
  previews(*model);
  twoModelsAtOnce(*model);
  handsRunsOver(*model);
  refusesBadFiles();
  return nd::test::report();
}
