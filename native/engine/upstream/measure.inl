// What a job and a load would allocate: the same operations over the same graphs, run by a job that measures.

namespace nd {
namespace upstream {

// A measuring job on this thread, with the engine's log lines kept back.
class Measuring {
 public:
  Measuring(Job& job, Phase phase, ggml_backend_t backend) : active_(job, phase), scope_(active_) {
    active_.memory.dry = true;
    active_.memory.placeholder = emptyBuffer(backend);
  }
  ~Measuring() { ggml_backend_buffer_free(active_.memory.placeholder); }
  Measuring(const Measuring&) = delete;
  Measuring& operator=(const Measuring&) = delete;

  GraphMemory result() const { return {active_.memory.peak, active_.memory.work, active_.memory.compiled}; }

 private:
  ActiveJob active_;
  ActiveJobScope scope_;
  nd::MutedLog muted_;
};

// Of a load whose weights get no data: even a graph that the engine tries the model out with only measures.
class WithoutData {
 public:
  explicit WithoutData(ActiveJob& job)
      : placeholder_(ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), 0)) {
    job.memory.dry = true;
    job.memory.placeholder = placeholder_;
  }
  ~WithoutData() { ggml_backend_buffer_free(placeholder_); }
  WithoutData(const WithoutData&) = delete;
  WithoutData& operator=(const WithoutData&) = delete;

 private:
  ggml_backend_buffer_t placeholder_;
};

// What the addon's reader checks where it knows the model.
inline void checkMeasure(const MeasureParams& params, const ModelInfo& info) {
  const auto check = [](int width, int height, int multiple) {
    if (width % multiple != 0 || height % multiple != 0)
      throw EngineError(ErrorCode::InvalidOption,
                        "The model works on multiples of " + std::to_string(multiple) + " pixels.");
  };
  check(params.width, params.height, info.sizeMultiple);
  for (const auto& [width, height] : params.references) check(width, height, info.scaleFactor);
  for (const auto& [width, height] : params.encode) check(width, height, info.scaleFactor);
  if (!params.encode.empty() && !info.canEncodeImages)
    throw EngineError(ErrorCode::InvalidOption, "With vaeDecodeOnly the model cannot encode images.");
}

inline GraphMemory larger(const GraphMemory& a, const GraphMemory& b) {
  GraphMemory both{std::max(a.graph, b.graph), std::max(a.work, b.work), a.compiled};
  both.compiled.insert(b.compiled.begin(), b.compiled.end());
  return both;
}

inline Tensor zeroTensor(int64_t channels, int64_t height, int64_t width) {
  return {{1, channels, height, width}, std::vector<float>(static_cast<size_t>(channels * height * width))};
}

inline Image blankImage(uint32_t width, uint32_t height, uint32_t channels) {
  Image image = allocateImage(width, height, channels);
  if (!image) throw EngineError(ErrorCode::OutOfMemory, "No memory for an image.");
  std::memset(image.data.get(), 0, image.bytes());
  return image;
}

}  // namespace upstream

JobMemory Model::measure(const MeasureParams& params, Job& job) {
  job.throwIfCancelled();
  StableDiffusionGGML& sd = impl_->sd;
  JobMemory result;
  const int64_t factor = info_.scaleFactor;
  const int64_t width = params.width / factor;
  const int64_t height = params.height / factor;
  try {
    std::vector<std::shared_ptr<const Conditioning>> prompts;
    for (const EncodePromptParams& prompt : params.prompts) {
      const upstream::Measuring measuring(job, Phase::Encode, sd.clip_backend);
      prompts.push_back(runTextEncoder(prompt));
      const GraphMemory one = measuring.result();
      result.textEncoder = upstream::larger(result.textEncoder, one);
      job.throwIfCancelled();
    }
    if (params.sample && !prompts.empty()) {
      SampleParams sample;
      sample.cond = prompts[0];
      if (prompts.size() > 1) sample.uncond = prompts[1];
      sample.latent = upstream::zeroTensor(info_.latentChannels, height, width);
      sample.sigmas = {sd.denoiser->sigma_max(), 0.0F};
      sample.sampler = "euler";
      sample.cfgScale = prompts.size() > 1 ? 2.0F : 1.0F;
      sample.eta = sample.flowShift = NAN;
      sample.imageCfgScale = params.imageGuidance ? 3.0F : NAN;
      // A model that reads channels beside the latent asserts that they are there, whatever the job brings.
      if (info_.concatChannels > 0) {
        sample.concat = upstream::zeroTensor(info_.concatChannels, height, width);
        sample.uncondConcat = sample.concat;
      }
      for (const auto& [refWidth, refHeight] : params.references)
        sample.refLatents.push_back(
            upstream::zeroTensor(info_.latentChannels, refHeight / factor, refWidth / factor));
      if (params.control) {
        sample.controlImage = upstream::blankImage(static_cast<uint32_t>(params.width),
                                                   static_cast<uint32_t>(params.height), 3);
        sample.controlStrength = params.controlStrength;
      }
      {
        const upstream::Measuring measuring(job, Phase::Sample, sd.backend);
        runSampler(sample);
        result.diffusion = measuring.result();
      }
      job.throwIfCancelled();
      if (params.preview == "tae" || params.preview == "vae") {
        sample.preview = params.preview;
        sample.previewTiling = params.previewTiling;
        const upstream::Measuring measuring(job, Phase::Sample, sd.backend);
        runSampler(sample);
        const GraphMemory both = measuring.result();
        result.preview = {both.graph - std::min(both.graph, result.diffusion.graph), both.work,
                          both.compiled};
      }
    }
    for (const auto& [imageWidth, imageHeight] : params.encode) {
      const upstream::Measuring measuring(job, Phase::Encode, sd.vae_backend);
      runEncoder(
          upstream::blankImage(static_cast<uint32_t>(imageWidth), static_cast<uint32_t>(imageHeight), 3),
          nullptr, params.encodeTiling);
      const GraphMemory one = measuring.result();
      result.vaeEncode = upstream::larger(result.vaeEncode, one);
      job.throwIfCancelled();
    }
    if (params.decode) {
      const upstream::Measuring measuring(job, Phase::Decode, sd.vae_backend);
      runDecoder(upstream::zeroTensor(info_.latentChannels, height, width), params.decodeTiling);
      result.vaeDecode = measuring.result();
    }
  } catch (const EngineError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw EngineError(ErrorCode::OutOfMemory, "Not enough memory to estimate the job.");
  } catch (const std::exception& error) {
    throw EngineError(ErrorCode::Engine,
                      std::string("The engine failed to estimate the job: ") + error.what());
  }
  return result;
}

std::unique_ptr<Model> Model::outline(const LoadOptions& options, Job& job) {
  upstream::checkDevices(options);
  const sd_ctx_params_t params = upstream::engineParams(options);
  auto impl = std::make_unique<Impl>();
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  const upstream::WithoutData dry(active);
  return upstream::runOperation(active, "estimate the job", [&] {
    const MutedLog muted;
    impl->init(options, params, active);
    return std::unique_ptr<Model>(new Model(std::move(impl)));
  });
}

JobMemory Model::measureUnloaded(const LoadOptions& options, const MeasureParams& params, Job& job) {
  const auto measure = [&] {
    const std::unique_ptr<Model> model = outline(options, job);
    upstream::checkMeasure(params, model->info());
    return model->measure(params, job);
  };
  try {
    JobMemory memory = measure();
    trimHeap();  // as many small pieces were freed as with a model that is disposed of
    return memory;
  } catch (...) {
    trimHeap();
    throw;
  }
}

LoadMemory measureLoad(const LoadOptions& options, Job& job) {
  upstream::checkDevices(options);
  const sd_ctx_params_t params = upstream::engineParams(options);
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  active.memory.dry = true;
  active.leftOut = options.leftOut;
  active.wideConvolutions = options.wideConvolutions;
  return upstream::runOperation(active, "estimate the load", [&] {
    const MutedLog muted;
    StableDiffusionGGML sd;
    LoadMemory result;
    bool known = false;
    active.onWeightsKnown = [&](const String2TensorStorage& tensors) {
      result = upstream::weightsOf(sd, active);
      const char* prediction = upstream::foreseenPrediction(sd, options.prediction, tensors);
      result.info = upstream::describeVersion(sd, prediction, upstream::usesTaesd(options));
      known = true;
      return false;
    };
    const bool loaded = sd.init(&params);
    if (!known && !loaded) upstream::throwLoadFailure(active);
    job.throwIfCancelled();
    return result;
  });
}

}  // namespace nd
