// Our own small interface over stable-diffusion.cpp. upstream.cpp behind it is the one translation unit that
// sees the engine's internals; everything else in native/ sees only this header.
//
// Threads: a Model or Upscaler belongs to one thread at a time (the addon gives each its own, see worker.h);
// different models may work at once. Every function may throw EngineError; a cancelled job throws
// ErrorCode::Aborted and leaves the model as it was before the call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "job.h"
#include "lora/spec.h"
#include "types.h"

namespace nd {

// Text conditioning in host memory, immutable; may outlive the model that made it.
class Conditioning {
 public:
  struct Impl;
  explicit Conditioning(std::unique_ptr<Impl> impl);
  ~Conditioning();
  Conditioning(const Conditioning&) = delete;
  Conditioning& operator=(const Conditioning&) = delete;

  size_t bytes() const;
  std::vector<int64_t> shape() const;
  // The cross-attention context.
  Tensor context() const;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class Model {
 public:
  static std::unique_ptr<Model> load(const LoadOptions& options, Job& job);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelInfo& info() const { return info_; }
  std::shared_ptr<const Conditioning> encodePrompt(const EncodePromptParams& params, Job& job);
  std::vector<TokenCount> countTokens(const std::string& prompt, Job& job);
  std::vector<float> sigmas(const SigmaParams& params);
  // As sample() draws it for a seed.
  Tensor noise(const NoiseParams& params);
  // With stopAfter: the predictions of those steps, to be handed on, in place of the latent.
  Tensor sample(const SampleParams& params, Job& job);
  std::vector<Tensor> encodeImages(const EncodeImageParams& params, Job& job);
  Image decodeLatent(const DecodeParams& params, Job& job);
  // What those operations would allocate for such a job. Nothing is computed and no graph gets memory.
  JobMemory measure(const MeasureParams& params, Job& job);
  // The same for a model that is not loaded: made of the headers of its files, and gone again afterwards.
  static JobMemory measureUnloaded(const LoadOptions& options, const MeasureParams& params, Job& job);

  // Tensors of the weights that were loaded, with their types and shapes in memory.
  std::vector<TensorHeader> tensors();
  // The engine's names of the modules of LoRA files: "te_…", "unet_…" or dotted; see upstream/lora.inl.
  std::vector<std::string> convertNames(const std::vector<std::string>& names);
  // Whole or not at all: what it throws leaves every tensor as it was.
  lora::WeightsResult applyWeights(const lora::WeightsPlan& plan, Job& job);
  // The engine's own way for LoRAs: weights are left alone, deltas are added while a graph runs.
  lora::WeightsResult applyRuntime(const lora::WeightsPlan& plan, Job& job);
  std::vector<lora::TensorDigest> weightsDigest(Job& job);
  // Bytes of one tensor as they are in memory.
  std::vector<uint8_t> readTensor(const std::string& name);
  lora::WeightsMemory weightsMemory();
  uint64_t releaseBackups(bool fromFile);
  // Lets go of compiled graphs, least recently used first. Those that stay, most recently used first; none
  // where the backend compiles nothing.
  std::vector<KeptGraph> releaseCompiled(const ReleaseParams& params);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  // Tensors without data: only measure() may be called.
  static std::unique_ptr<Model> outline(const LoadOptions& options, Job& job);
  // The operations themselves, for the active job of this thread, which may only measure.
  std::shared_ptr<const Conditioning> runTextEncoder(const EncodePromptParams& params);
  Tensor runSampler(const SampleParams& params);
  Tensor runEncoder(const Image& image, const Image* mask, const Tiling& tiling);
  Image runDecoder(const Tensor& latent, const Tiling& tiling);
  ModelInfo describe() const;

  std::unique_ptr<Impl> impl_;
  ModelInfo info_;
};

class Upscaler {
 public:
  static std::unique_ptr<Upscaler> load(const UpscalerOptions& options, Job& job);
  ~Upscaler();
  Upscaler(const Upscaler&) = delete;
  Upscaler& operator=(const Upscaler&) = delete;

  const UpscalerFacts& facts() const;
  Image upscale(const UpscaleParams& params, Job& job);
  // What that would allocate, from the graph of one piece. Nothing is computed.
  GraphMemory measure(const UpscaleSize& size, Job& job);

 private:
  friend UpscalerMemory measureUpscaler(const UpscalerOptions& options, const std::vector<UpscaleSize>& sizes,
                                        Job& job);
  struct Impl;
  explicit Upscaler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Header facts only; no weights are read.
Inspection inspect(const ModelFiles& files);

// What a load would allocate, from the headers and the weight types asked for; no weights are read.
LoadMemory measureLoad(const LoadOptions& options, Job& job);

// What loading an upscaler and its jobs of these sizes would allocate, from the header of its file.
UpscalerMemory measureUpscaler(const UpscalerOptions& options, const std::vector<UpscaleSize>& sizes,
                               Job& job);

// The engine's own name tables, index = enum value.
struct NameTables {
  std::vector<std::string> samplers, schedules, rngs, predictions, previews, weightTypes, architectures;
};
NameTables nameTables();

// Installs the routing of the engine's process-wide callbacks to the job of the calling thread. Once per
// process.
void installCallbacks();

}  // namespace nd
