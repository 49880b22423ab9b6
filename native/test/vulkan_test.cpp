// The parts of the embedded model (model.h) on a Vulkan device against the CPU: text encoder, one evaluation
// of the UNet, VAE. Without a Vulkan device the test fails. GGML_VK_VISIBLE_DEVICES=0 makes ggml take a
// software device too.
#include <algorithm>

#include "check.h"
#include "model.h"
#include "runtime.h"

namespace {

class TestJob : public nd::Job {
 public:
  void onProgress(const nd::Progress& /*progress*/) override {}
  void onPreview(int /*step*/, nd::Image /*image*/) override {}
};

constexpr double kTolerance = 1e-2;  // of f16 weights

double norm(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

std::vector<float> minus(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> result(a.size());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), [](float x, float y) { return x - y; });
  return result;
}

// |a - b| / |b|, in the Euclidean norm.
double relativeError(const std::vector<float>& a, const std::vector<float>& b) {
  CHECK(!a.empty() && a.size() == b.size() && norm(b) > 0);
  return a.size() == b.size() ? norm(minus(a, b)) / norm(b) : 1;
}

void expectNear(const char* what, double error) {
  std::printf("%s: relative error %.2e\n", what, error);
  CHECK(error <= kTolerance);
}

std::unique_ptr<nd::Model> load(const std::string& device) {
  TestJob job;
  nd::LoadOptions options = nd::test::loadOptions();
  options.device = device;
  return nd::Model::load(options, job);
}

std::vector<float> pixels(nd::Model& model, const nd::Tensor& latent) {
  TestJob job;
  nd::DecodeParams params;
  params.latent = latent;
  const auto bytes = nd::test::bytesOf(model.decodeLatent(params, job));
  return {bytes.begin(), bytes.end()};
}

void comparesParts(nd::Model& vulkan, nd::Model& cpu) {
  TestJob job;
  const auto ours = vulkan.encodePrompt(nd::test::prompt("a red apple"), job);
  const auto cond = cpu.encodePrompt(nd::test::prompt("a red apple"), job);
  expectNear("text encoder", relativeError(ours->context().data, cond->context().data));

  // One evaluation: with the next sigma 0, the latent becomes what the model takes for the picture without
  // noise.
  nd::SampleParams step = nd::test::sampleRequest(cpu, cond, 1, 1);
  const float sigma = step.sigmas.front();
  step.sigmas = {sigma, 0.0F};
  const nd::Tensor denoised = cpu.sample(step, job);
  nd::NoiseParams noiseParams;
  noiseParams.seed = step.seed;
  noiseParams.shape = step.latent.shape;
  std::vector<float> start = cpu.noise(noiseParams).data;
  for (float& value : start) value *= sigma;
  // start - denoised is sigma times the output of the UNet.
  expectNear("UNet", relativeError(minus(start, vulkan.sample(step, job).data), minus(start, denoised.data)));
  expectNear("VAE", relativeError(pixels(vulkan, denoised), pixels(cpu, denoised)));
}

}  // namespace

int main(int argc, char** argv) {
  if (!nd::test::hasModel(argc, "vulkan_test")) return 1;
  nd::loadBackends(argv[1]);
  const auto devices = nd::devices();
  const auto device = std::find_if(devices.begin(), devices.end(),
                                   [](const nd::Device& candidate) { return candidate.backend == "Vulkan"; });
  if (device == devices.end()) {
    std::printf("there is no Vulkan device: is the module built, and a driver installed?\n");
    return 1;
  }
  std::printf("device %s: %s\n", device->name.c_str(), device->description.c_str());
  const auto cpu = load("CPU");
  const auto vulkan = load(device->name);
  comparesParts(*vulkan, *cpu);
  return nd::test::report();
}
