// Plain values that cross between the addon and the engine. No Node, no engine types.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace nd {

// Codes of lib/errors that native code can reject with; errorCodeName gives the spelling.
enum class ErrorCode {
  Aborted,
  BackendUnavailable,
  DeviceLost,
  Disposed,
  Engine,
  InvalidOption,
  ModelChanged,
  InvalidPrompt,
  ModelCorrupt,
  ModelNotFound,
  ModelUnsupported,
  OutOfMemory,
};

const char* errorCodeName(ErrorCode code);

class EngineError : public std::runtime_error {
 public:
  EngineError(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

struct FreeDeleter {
  void operator()(void* pointer) const noexcept;
};
using MallocBytes = std::unique_ptr<uint8_t, FreeDeleter>;

// 8-bit interleaved pixels; the bytes come from malloc because the engine hands them out that way.
struct Image {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 0;
  MallocBytes data;

  size_t bytes() const { return static_cast<size_t>(width) * height * channels; }
  explicit operator bool() const { return data != nullptr; }
};

// Pixels not set; without data where there is no memory.
Image allocateImage(uint32_t width, uint32_t height, uint32_t channels);

// Row-major f32; a latent is [1, channels, height / f, width / f].
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

enum class Phase { Load, Lora, Encode, Sample, Decode, Tile, Upscale };

// A graph that the backend compiled before it ran it.
struct Compilation {
  std::string component;  // textEncoder, diffusionModel, vae, upscaler
  std::string reason;
  int nodes = 0;
  double ms = 0;
  uint64_t bytes = 0;      // that it takes
  uint64_t graph = 0;      // its number
  uint64_t signature = 0;  // the same for graphs that differ in their weights alone
};

// A compiled graph that the backend keeps.
struct KeptGraph {
  uint64_t graph;  // its number; 0: those that were read ahead
  uint64_t signature;
  uint64_t bytes;
};

struct ReleaseParams {
  uint64_t bytes = 0;          // that are to be free; 0: nothing goes
  std::vector<uint64_t> keep;  // numbers of graphs that stay
};

struct Progress {
  Phase phase = Phase::Load;
  int step = 0;
  int total = 0;
  float secondsPerStep = 0.0F;
  uint64_t bytes = 0;
  uint64_t totalBytes = 0;
};

struct ModelFiles {
  std::string checkpoint, diffusionModel, vae, taesd, clipL, clipG, clipVision, t5xxl, llm, llmVision,
      controlNet;
};

struct LeftOut {
  bool textEncoder = false, vae = false;
};

struct LoadOptions {
  ModelFiles files;
  std::string device;
  std::string deviceOptions;  // what its backend is made with: lines of name=value
  int threads = 0;
  bool taesdPreviewOnly = false;
  std::string weightType;
  std::string tensorTypeRules;
  bool wideConvolutions = false;  // kernels of convolutions, and with them what goes in, as f32, not f16
  bool mmap = false;
  bool flashAttention = false;
  bool diffusionConvDirect = false;
  bool vaeConvDirect = false;
  bool keepTextEncoderOnCpu = false;
  bool keepVaeOnCpu = false;
  bool keepControlNetOnCpu = false;
  bool offloadToCpu = false;
  float maxVram = 0.0F;
  bool circularX = false;
  bool circularY = false;
  std::string prediction;
  std::string rng;
  std::string samplerRng;
  bool vaeDecodeOnly = false;
  // Parts that another model lends: they are known by name and shape, get no memory and are not read.
  LeftOut leftOut;
  uint64_t memoryBudget = 0;  // bytes of weights and read buffers; 0: any
};

struct Component {
  std::string name;
  uint64_t bytes = 0;
  size_t tensors = 0;
  std::string device;
};

struct ModelInfo {
  std::string architecture;
  int latentChannels = 0;
  int concatChannels = 0;  // that the diffusion model reads beside the latent; 0: none
  int scaleFactor = 0;
  int sizeMultiple = 0;
  std::string defaultSampler;
  std::string defaultSchedule;
  std::string prediction;
  bool isInpaint = false;
  bool isEdit = false;
  bool isControl = false;
  bool isDit = false;
  bool isVideo = false;
  bool isSdxl = false;
  bool hasControlNet = false;
  bool usesTaesd = false;
  bool canEncodeImages = false;
  size_t tensors = 0;
  std::vector<Component> components;
};

struct TensorHeader {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
};

struct Inspection {
  std::string architecture;
  std::vector<TensorHeader> tensors;
};

struct Tiling {
  bool enabled = false;
  int tileSizeX = 0;
  int tileSizeY = 0;
  float overlap = 0.5F;
};

struct EncodePromptParams {
  std::string prompt;
  int clipSkip = -1;
  int width = 0;
  int height = 0;
  bool zeroOutMasked = false;
  std::vector<Image> refImages;
  uint64_t memoryBudget = 0;  // bytes that the operation's graphs may take; 0: any
};

// A prompt as one text encoder gets it.
struct TokenCount {
  std::string encoder;
  size_t tokens = 0;  // without begin, end and padding
  size_t chunks = 1;
  size_t chunkTokens = 0;  // 0: the encoder takes the prompt in one
  size_t limit = 0;        // tokens that are read; 0: all
  std::string cut;         // text beyond the limit, as the tokenizer spells it
};

struct SigmaParams {
  int steps = 0;
  std::string schedule;
  std::string sampler;
  int width = 0;
  int height = 0;
  float flowShift = 0.0F;  // NaN: the model's default
};

// The noise that sampling a latent of this shape begins with.
struct NoiseParams {
  std::vector<int64_t> shape;  // [1, channels, height, width]
  int64_t seed = 0;
};

class Conditioning;

struct SampleParams {
  std::shared_ptr<const Conditioning> cond;
  std::shared_ptr<const Conditioning> uncond;
  Tensor latent;
  std::optional<Tensor> noise;
  int64_t seed = 0;
  std::vector<float> sigmas;
  int stopAfter = 0;                  // steps; 0: all of them
  std::optional<Tensor> predictions;  // of a run that stopped: [evaluations, channels, height, width]
  std::string sampler;
  float eta = 0.0F;  // NaN: the sampler's default
  float cfgScale = 7.0F;
  float imageCfgScale = 0.0F;  // NaN: cfgScale
  float guidance = 3.5F;
  std::vector<int> slgLayers;
  float slgStart = 0.01F;
  float slgEnd = 0.2F;
  float slgScale = 0.0F;
  float flowShift = 0.0F;
  int shiftedTimestep = 0;
  std::optional<Tensor> mask;
  std::optional<Tensor> concat;
  std::optional<Tensor> uncondConcat;
  std::vector<Tensor> refLatents;
  bool increaseRefIndex = false;
  std::optional<Image> controlImage;
  float controlStrength = 0.0F;
  std::string cacheMode;
  float cacheThreshold = 0.0F;
  float cacheStart = 0.0F;
  float cacheEnd = 0.0F;
  std::string preview;
  int previewInterval = 1;
  Tiling previewTiling;
  uint64_t memoryBudget = 0;
};

struct EncodeImageParams {
  std::vector<std::pair<Image, std::optional<Image>>> images;
  int64_t seed = 0;
  Tiling tiling;
  uint64_t memoryBudget = 0;
};

struct DecodeParams {
  Tensor latent;
  Tiling tiling;
  uint64_t memoryBudget = 0;
};

// Shape of a job to measure; sizes in pixels.
struct MeasureParams {
  int width = 0;
  int height = 0;
  std::vector<EncodePromptParams> prompts;  // the second: without the prompt
  bool sample = false;                      // with the prompts, which are at least one
  bool imageGuidance = false;
  bool control = false;
  float controlStrength = 1;
  std::vector<std::pair<int, int>> references;
  std::string preview;
  Tiling previewTiling;
  std::vector<std::pair<int, int>> encode;
  Tiling encodeTiling;
  bool decode = false;
  Tiling decodeTiling;
};

// Bytes of one stage: buffers of its graphs at their peak, and the work buffer that the CPU backend then
// keeps.
struct GraphMemory {
  uint64_t graph = 0;
  uint64_t work = 0;
  std::map<uint64_t, uint64_t> compiled;  // of graphs that a backend would compile, by signature
};

struct JobMemory {
  GraphMemory textEncoder, diffusion, preview, vaeEncode, vaeDecode;
};

struct LoadMemory {
  std::vector<Component> components;
  uint64_t readBuffers = 0;
  uint64_t mapped = 0;  // file bytes mapped while reading
  ModelInfo info;       // of the model that it will be; without components
};

struct UpscalerOptions {
  std::string file;
  std::string device;
  std::string deviceOptions;
  int threads = 0;
  bool convDirect = false;
  bool offloadToCpu = false;
  uint64_t memoryBudget = 0;  // bytes of weights and read buffers; 0: any
};

struct UpscalerFacts {
  int scale = 0;
  uint64_t bytes = 0;        // of the weights
  uint64_t readBuffers = 0;  // of the reader threads while it is loaded
  std::string device;
};

// Pixels. A picture that is larger than a tile either way is cut into tiles.
struct UpscaleSize {
  int width = 0;
  int height = 0;
  int tileSize = 0;
};

struct UpscaleParams {
  Image image;
  int tileSize = 0;
  uint64_t memoryBudget = 0;  // bytes that the operation's graphs may take; 0: any
};

struct UpscalerMemory {
  UpscalerFacts facts;
  std::vector<GraphMemory> jobs;  // one for each size
};

}  // namespace nd
