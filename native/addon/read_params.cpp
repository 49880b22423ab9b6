// One function for each params struct of lib/native/contract.ts.
#include <cmath>

#include "async_job.h"
#include "reader.h"

namespace nd::addon {
namespace {

constexpr int maxThreads = 1024;
constexpr int maxSteps = 10000;
constexpr int maxSide = 16384;
constexpr double maxBytes = 9007199254740991.0;  // 2^53 - 1

uint64_t readBudget(const Reader& reader) {
  return static_cast<uint64_t>(reader.number("memoryBudget", 0, maxBytes));
}

float readControlStrength(const Reader& reader) {
  return static_cast<float>(reader.number("controlStrength", 0, 100));
}

Tiling readTiling(const Reader& reader) {
  Tiling tiling;
  tiling.enabled = reader.flag("enabled");
  tiling.tileSizeX = reader.integer("tileSizeX", 0, maxSide);
  tiling.tileSizeY = reader.integer("tileSizeY", 0, maxSide);
  tiling.overlap = static_cast<float>(reader.number("overlap", 0, 0.5));
  return tiling;
}

// The engine's tokenizers take time with the square of a word's length, and cannot be stopped.
std::string readPrompt(const Reader& reader) {
  std::string prompt = reader.text("prompt");
  constexpr size_t longest = 262'144;
  if (prompt.size() > longest) reader.fail("prompt", "at most 262144 bytes long");
  return prompt;
}

std::vector<float> readSigmaList(const Reader& reader) {
  const Napi::Value value = reader.value("sigmas");
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    reader.fail("sigmas", "a Float32Array");
  }
  const auto array = value.As<Napi::Float32Array>();
  std::vector<float> sigmas(array.Data(), array.Data() + array.ElementLength());
  if (sigmas.size() < 2 || sigmas.size() > maxSteps + 1) reader.fail("sigmas", "2 to 10001 numbers");
  for (const float sigma : sigmas) {
    if (!std::isfinite(sigma) || sigma < 0) reader.fail("sigmas", "finite numbers, none negative");
  }
  return sigmas;
}

// Everything that meets the latent in the engine's arithmetic must have its size, or the engine asserts.
void checkAgainst(const Reader& reader, const char* key, const std::optional<Tensor>& tensor,
                  const Tensor& latent, int64_t channels) {
  if (!tensor) return;
  const bool fits = tensor->shape[0] == 1 && tensor->shape[2] == latent.shape[2] &&
                    tensor->shape[3] == latent.shape[3] && tensor->shape[1] == channels;
  if (!fits)
    reader.fail(key, "of shape [1, " + std::to_string(channels) + ", the latent's height and width]");
}

// At most two evaluations in a step, and at least one step is left.
void checkPredictions(const Reader& reader, const std::optional<Tensor>& predictions, const Tensor& latent,
                      int steps) {
  if (!predictions) return;
  const std::vector<int64_t>& shape = predictions->shape;
  const bool fits = shape[0] >= 1 && shape[0] <= 2 * (int64_t{steps} - 1) &&
                    std::equal(shape.begin() + 1, shape.end(), latent.shape.begin() + 1, latent.shape.end());
  if (!fits)
    reader.fail("predictions", "latents of this size, one for each evaluation of a run that stopped");
}

void checkLatent(const Reader& reader, const char* key, const Tensor& latent, const ModelInfo& info) {
  const int64_t multiple = info.sizeMultiple / info.scaleFactor;
  const bool fits = latent.shape[0] == 1 && latent.shape[1] == info.latentChannels &&
                    latent.shape[2] % multiple == 0 && latent.shape[3] % multiple == 0;
  if (!fits) {
    reader.fail(key,
                "a latent of shape [1, " + std::to_string(info.latentChannels) + ", height, width]" +
                    (multiple > 1 ? " with sizes that are multiples of " + std::to_string(multiple) : ""));
  }
}

}  // namespace

ModelFiles readModelFiles(const Napi::Value& value) {
  const Reader reader(value, "files");
  ModelFiles files;
  files.checkpoint = reader.text("checkpoint");
  files.diffusionModel = reader.text("diffusionModel");
  files.vae = reader.text("vae");
  files.taesd = reader.text("taesd");
  files.clipL = reader.text("clipL");
  files.clipG = reader.text("clipG");
  files.clipVision = reader.text("clipVision");
  files.t5xxl = reader.text("t5xxl");
  files.llm = reader.text("llm");
  files.llmVision = reader.text("llmVision");
  files.controlNet = reader.text("controlNet");
  if (files.checkpoint.empty() && files.diffusionModel.empty())
    reader.fail("checkpoint", "given, or diffusionModel");
  return files;
}

LoadOptions readLoadOptions(const Napi::Value& value) {
  const Reader reader(value);
  LoadOptions options;
  options.files = readModelFiles(reader.value("files"));
  options.device = reader.text("device");
  options.deviceOptions = reader.text("deviceOptions");
  options.threads = reader.integer("threads", 0, maxThreads);
  options.taesdPreviewOnly = reader.flag("taesdPreviewOnly");
  options.weightType = reader.text("weightType");
  options.tensorTypeRules = reader.text("tensorTypeRules");
  options.wideConvolutions = reader.flag("wideConvolutions");
  options.mmap = reader.flag("mmap");
  options.flashAttention = reader.flag("flashAttention");
  options.diffusionConvDirect = reader.flag("diffusionConvDirect");
  options.vaeConvDirect = reader.flag("vaeConvDirect");
  options.keepTextEncoderOnCpu = reader.flag("keepTextEncoderOnCpu");
  options.keepVaeOnCpu = reader.flag("keepVaeOnCpu");
  options.keepControlNetOnCpu = reader.flag("keepControlNetOnCpu");
  options.offloadToCpu = reader.flag("offloadToCpu");
  options.maxVram = static_cast<float>(reader.number("maxVram", 0, 1e6));
  options.circularX = reader.flag("circularX");
  options.circularY = reader.flag("circularY");
  options.prediction = reader.text("prediction");
  options.rng = reader.text("rng");
  options.samplerRng = reader.text("samplerRng");
  options.vaeDecodeOnly = reader.flag("vaeDecodeOnly");
  options.leftOut = {reader.flag("withoutTextEncoder"), reader.flag("withoutVae")};
  options.memoryBudget = readBudget(reader);
  return options;
}

UpscalerOptions readUpscalerOptions(const Napi::Value& value) {
  const Reader reader(value);
  UpscalerOptions options;
  options.file = reader.text("file");
  if (options.file.empty()) reader.fail("file", "a path");
  options.device = reader.text("device");
  options.deviceOptions = reader.text("deviceOptions");
  options.threads = reader.integer("threads", 0, maxThreads);
  options.convDirect = reader.flag("convDirect");
  options.offloadToCpu = reader.flag("offloadToCpu");
  options.memoryBudget = readBudget(reader);
  return options;
}

UpscaleParams readUpscale(const Napi::Value& value) {
  const Reader reader(value);
  UpscaleParams params;
  params.image = reader.image("image");
  if (params.image.channels != 3) reader.fail("image", "an image of 3 channels");
  params.tileSize = reader.integer("tileSize", 16, maxSide);
  params.memoryBudget = readBudget(reader);
  return params;
}

UpscaleSize readUpscaleSize(const Napi::Value& value) {
  const Reader reader(value);
  return {reader.integer("width", 1, maxSide), reader.integer("height", 1, maxSide),
          reader.integer("tileSize", 16, maxSide)};
}

std::vector<UpscaleSize> readUpscaleSizes(const Napi::Array& array) {
  std::vector<UpscaleSize> sizes;
  for (uint32_t i = 0; i < array.Length(); ++i) sizes.push_back(readUpscaleSize(array[i]));
  return sizes;
}

std::string readCountTokens(const Napi::Value& value) { return readPrompt(Reader(value)); }

EncodePromptParams readEncodePrompt(const Napi::Value& value) {
  const Reader reader(value);
  EncodePromptParams params;
  params.memoryBudget = readBudget(reader);
  params.prompt = readPrompt(reader);
  params.clipSkip = reader.integer("clipSkip", -1, 32);
  params.width = reader.integer("width", 1, maxSide);
  params.height = reader.integer("height", 1, maxSide);
  params.zeroOutMasked = reader.flag("zeroOutMasked");
  if (reader.has("refImages")) {
    const Napi::Array images = reader.array("refImages");
    for (uint32_t i = 0; i < images.Length(); ++i) {
      params.refImages.push_back(Reader::imageOf(images[i], "refImages[" + std::to_string(i) + "]"));
    }
  }
  return params;
}

SigmaParams readSigmas(const Napi::Value& value) {
  const Reader reader(value);
  SigmaParams params;
  params.steps = reader.integer("steps", 1, maxSteps);
  params.schedule = reader.text("schedule");
  params.sampler = reader.text("sampler");
  params.width = reader.integer("width", 1, maxSide);
  params.height = reader.integer("height", 1, maxSide);
  params.flowShift = reader.real("flowShift");
  return params;
}

NoiseParams readNoise(const Napi::Value& value, const ModelInfo& info) {
  const Reader reader(value);
  NoiseParams params;
  params.seed = reader.seed("seed");
  const int cells = maxSide / std::max(1, info.scaleFactor);
  params.shape = {1, info.latentChannels, reader.integer("height", 1, cells),
                  reader.integer("width", 1, cells)};
  return params;
}

EncodeImageParams readEncodeImages(const Napi::Value& value, const ModelInfo& info) {
  const Reader reader(value);
  EncodeImageParams params;
  params.seed = reader.seed("seed");
  params.tiling = readTiling(reader.object("tiling"));
  params.memoryBudget = readBudget(reader);
  const Napi::Array images = reader.array("images");
  for (uint32_t i = 0; i < images.Length(); ++i) {
    const Reader item(images[i], "images[" + std::to_string(i) + "]");
    Image image = item.image("image");
    const auto multiple = static_cast<uint32_t>(info.sizeMultiple);
    if (image.channels != 3 || image.width % multiple != 0 || image.height % multiple != 0) {
      item.fail("image", "RGB with a width and height that are multiples of " + std::to_string(multiple));
    }
    std::optional<Image> mask;
    if (item.has("mask")) {
      mask = item.image("mask");
      if (mask->channels != 1 || mask->width != image.width || mask->height != image.height) {
        item.fail("mask", "of one channel and the size of the image");
      }
    }
    params.images.emplace_back(std::move(image), std::move(mask));
  }
  return params;
}

DecodeParams readDecode(const Napi::Value& value, const ModelInfo& info) {
  const Reader reader(value);
  DecodeParams params;
  params.latent = reader.tensor("latent");
  checkLatent(reader, "latent", params.latent, info);
  params.tiling = readTiling(reader.object("tiling"));
  params.memoryBudget = readBudget(reader);
  return params;
}

SampleParams readSample(const Napi::Value& value, const ModelInfo& info) {
  const Reader reader(value);
  SampleParams params;
  params.latent = reader.tensor("latent");
  checkLatent(reader, "latent", params.latent, info);
  params.noise = reader.optionalTensor("noise");
  checkAgainst(reader, "noise", params.noise, params.latent, info.latentChannels);
  params.seed = reader.seed("seed");
  params.sigmas = readSigmaList(reader);
  const int steps = static_cast<int>(params.sigmas.size()) - 1;
  params.stopAfter = reader.integer("stopAfter", 0, std::max(0, steps - 1));
  params.predictions = reader.optionalTensor("predictions");
  checkPredictions(reader, params.predictions, params.latent, steps);
  params.sampler = reader.text("sampler");
  params.eta = reader.real("eta");
  params.cfgScale = static_cast<float>(reader.number("cfgScale", -1000, 1000));
  params.imageCfgScale = reader.real("imageCfgScale");
  params.guidance = static_cast<float>(reader.number("guidance", -1000, 1000));
  if (reader.has("slgLayers")) {
    const Napi::Value list = reader.value("slgLayers");
    if (!list.IsTypedArray() || list.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
      reader.fail("slgLayers", "an Int32Array");
    }
    const auto layers = list.As<Napi::Int32Array>();
    params.slgLayers.assign(layers.Data(), layers.Data() + layers.ElementLength());
  }
  params.slgStart = static_cast<float>(reader.number("slgStart", 0, 1));
  params.slgEnd = static_cast<float>(reader.number("slgEnd", 0, 1));
  params.slgScale = static_cast<float>(reader.number("slgScale", -1000, 1000));
  params.flowShift = reader.real("flowShift");
  params.shiftedTimestep = reader.integer("shiftedTimestep", 0, 1000);
  params.mask = reader.optionalTensor("mask");
  checkAgainst(reader, "mask", params.mask, params.latent, 1);
  for (const char* key : {"concat", "uncondConcat"}) {
    if (reader.has(key) && info.concatChannels == 0)
      reader.fail(key, "null: this model reads no such channels");
  }
  params.concat = reader.optionalTensor("concat");
  checkAgainst(reader, "concat", params.concat, params.latent, info.concatChannels);
  params.uncondConcat = reader.optionalTensor("uncondConcat");
  checkAgainst(reader, "uncondConcat", params.uncondConcat, params.latent, info.concatChannels);
  if (reader.has("refLatents")) {
    const Napi::Array latents = reader.array("refLatents");
    for (uint32_t i = 0; i < latents.Length(); ++i) {
      params.refLatents.push_back(Reader::tensorOf(latents[i], "refLatents[" + std::to_string(i) + "]"));
      checkLatent(reader, "refLatents", params.refLatents.back(), info);
    }
  }
  params.increaseRefIndex = reader.flag("increaseRefIndex");
  if (reader.has("controlImage")) {
    Image image = reader.image("controlImage");
    const auto factor = static_cast<int64_t>(info.scaleFactor);
    if (image.channels != 3 || image.width != params.latent.shape[3] * factor ||
        image.height != params.latent.shape[2] * factor) {
      reader.fail("controlImage", "RGB of the picture's size");
    }
    params.controlImage = std::move(image);
  }
  params.controlStrength = readControlStrength(reader);
  params.cacheMode = reader.text("cacheMode");
  params.cacheThreshold = reader.real("cacheThreshold");
  params.cacheStart = reader.real("cacheStart");
  params.cacheEnd = reader.real("cacheEnd");
  params.preview = reader.text("preview");
  params.previewInterval = reader.integer("previewInterval", 1, maxSteps);
  params.previewTiling = readTiling(reader.object("previewTiling"));
  params.memoryBudget = readBudget(reader);
  return params;
}

namespace {

int readSide(const Reader& reader, const char* key, const ModelInfo& info) {
  const int size = reader.integer(key, 1, maxSide);
  if (size % info.sizeMultiple != 0) reader.fail(key, "a multiple of " + std::to_string(info.sizeMultiple));
  return size;
}

std::vector<std::pair<int, int>> readSizes(const Reader& reader, const char* key, int multiple) {
  std::vector<std::pair<int, int>> sizes;
  const Napi::Array list = reader.array(key);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Reader item(list[i], std::string(key) + "[" + std::to_string(i) + "]");
    sizes.emplace_back(item.integer("width", multiple, maxSide), item.integer("height", multiple, maxSide));
    if (sizes.back().first % multiple != 0 || sizes.back().second % multiple != 0)
      item.fail("width", "and height multiples of " + std::to_string(multiple));
  }
  return sizes;
}

}  // namespace

ReleaseParams readRelease(const Napi::Value& value) {
  const Reader reader(value);
  ReleaseParams params;
  params.bytes = static_cast<uint64_t>(reader.number("bytes", 0, maxBytes));
  const Napi::Array keep = reader.array("keep");
  for (uint32_t i = 0; i < keep.Length(); ++i) {
    const Napi::Value entry = keep[i];
    const double graph = entry.IsNumber() ? entry.As<Napi::Number>().DoubleValue() : -1;
    if (!(graph >= 0 && graph <= maxBytes)) reader.fail("keep", "an array of numbers of graphs");
    params.keep.push_back(static_cast<uint64_t>(graph));
  }
  return params;
}

MeasureParams readMeasure(const Napi::Value& value, const ModelInfo& info) {
  const Reader reader(value);
  MeasureParams params;
  params.width = readSide(reader, "width", info);
  params.height = readSide(reader, "height", info);
  const Napi::Array prompts = reader.array("prompts");
  for (uint32_t i = 0; i < prompts.Length() && i < 2; ++i)
    params.prompts.push_back(readEncodePrompt(prompts[i]));
  params.sample = reader.flag("sample");
  params.imageGuidance = reader.flag("imageGuidance");
  params.control = reader.flag("control");
  params.controlStrength = readControlStrength(reader);
  params.references = readSizes(reader, "references", info.scaleFactor);
  params.preview = reader.text("preview");
  params.previewTiling = readTiling(reader.object("previewTiling"));
  params.encode = readSizes(reader, "encode", info.scaleFactor);
  params.encodeTiling = readTiling(reader.object("encodeTiling"));
  params.decode = reader.flag("decode");
  params.decodeTiling = readTiling(reader.object("decodeTiling"));
  return params;
}

}  // namespace nd::addon
