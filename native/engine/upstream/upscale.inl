// ESRGAN upscalers.

namespace nd {

struct Upscaler::Impl {
  UpscalerGGML engine;
  UpscalerFacts facts;
  Impl(int threads, bool direct) : engine(threads, direct) {}
  ~Impl() {
    engine.esrgan_upscaler.reset();
    if (engine.backend != nullptr) ggml_backend_free(engine.backend);  // the engine never frees it
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Reads the file, or only its header in a job that measures. The weights get memory when their sum is known
  // and within the budget.
  void load(const UpscalerOptions& options, int threads, upstream::ActiveJob& active) {
    active.memory.deferred = !active.memory.dry;
    active.onWeightsKnown = [&](const String2TensorStorage&) { return place(active, options.memoryBudget); };
    if (!engine.load_from_file(options.file, options.offloadToCpu, threads))
      upstream::throwLoadFailure(active);
    active.job.throwIfCancelled();
    facts.scale = engine.esrgan_upscaler->scale;
  }

  // The largest graph of such a job: of the whole picture, or of one tile as the engine cuts them.
  GraphMemory measure(const UpscaleSize& size, Job& job) {
    const bool whole = size.width <= size.tileSize && size.height <= size.tileSize;
    const int64_t width = whole ? size.width : std::min(size.width, size.tileSize);
    const int64_t height = whole ? size.height : std::min(size.height, size.tileSize);
    ESRGAN& network = *engine.esrgan_upscaler;
    const sd::Tensor<float> piece({width, height, 3, 1});
    const upstream::Measuring measuring(job, Phase::Upscale, engine.backend);
    network.GGMLRunner::compute<float>([&] { return network.build_graph(piece); }, engine.n_threads, true,
                                       true);
    return measuring.result();
  }

 private:
  bool place(upstream::ActiveJob& active, uint64_t budget) {
    ESRGAN& network = *engine.esrgan_upscaler;
    const auto alloc = [&] {
      network.free_params_buffer();
      active.memory.weights = 0;
      network.alloc_params_buffer();
    };
    alloc();
    facts.bytes = active.memory.weights;
    facts.readBuffers = active.readBuffers;
    facts.device = ggml_backend_name(engine.backend);
    if (active.memory.dry) return true;
    const uint64_t bytes = facts.bytes + facts.readBuffers;
    if (budget > 0 && bytes > budget) {
      active.loadErrorCode = ErrorCode::OutOfMemory;
      active.loadError = "Loading the upscaler needs " + upstream::mebibytes(bytes) +
                         ", its memory budget is " + upstream::mebibytes(budget) + ".";
      return false;
    }
    active.memory.deferred = false;
    alloc();
    if (active.memory.refusal.empty()) return true;
    active.loadErrorCode = ErrorCode::OutOfMemory;
    active.loadError = active.memory.refusal + " for the weights.";
    return false;
  }
};

Upscaler::Upscaler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Upscaler::~Upscaler() = default;

std::unique_ptr<Upscaler> Upscaler::load(const UpscalerOptions& options, Job& job) {
  upstream::checkDevice(options.device, options.deviceOptions);
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  return upstream::runOperation(active, "load the upscaler", [&] {
    const int threads = options.threads > 0 ? options.threads : sd_get_num_physical_cores();
    checkModelFile(options.file);
    auto impl = std::make_unique<Impl>(threads, options.convDirect);
    impl->load(options, threads, active);
    return std::unique_ptr<Upscaler>(new Upscaler(std::move(impl)));
  });
}

const UpscalerFacts& Upscaler::facts() const { return impl_->facts; }

Image Upscaler::upscale(const UpscaleParams& params, Job& job) {
  upstream::ActiveJob active{job, Phase::Upscale};
  active.memory.budget = params.memoryBudget;
  return upstream::runOperation(active, "upscale the image", [&] {
    upstream::report(job, Phase::Upscale, 0, 1);
    const upstream::AbortableGraphs abortable;
    impl_->engine.tile_size = params.tileSize;
    const sd::Tensor<float> pixels = impl_->engine.upscale_tensor(upstream::toEngine(params.image));
    if (pixels.empty() || job.cancelled()) upstream::throwEmpty(job, "upscale the image");
    Image result = upstream::takeImage(tensor_to_sd_image(pixels));
    upstream::report(job, Phase::Upscale, 1, 1);
    return result;
  });
}

GraphMemory Upscaler::measure(const UpscaleSize& size, Job& job) {
  upstream::ActiveJob active{job, Phase::Upscale};
  return upstream::runOperation(active, "estimate the job", [&] { return impl_->measure(size, job); });
}

UpscalerMemory measureUpscaler(const UpscalerOptions& options, const std::vector<UpscaleSize>& sizes,
                               Job& job) {
  upstream::checkDevice(options.device, options.deviceOptions);
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  UpscalerMemory memory;
  {
    const upstream::WithoutData dry(active);
    upstream::runOperation(active, "estimate the upscaler", [&] {
      const MutedLog muted;
      const int threads = options.threads > 0 ? options.threads : sd_get_num_physical_cores();
      checkModelFile(options.file);
      Upscaler::Impl outline(threads, options.convDirect);
      outline.load(options, threads, active);
      memory.facts = outline.facts;
      for (const UpscaleSize& size : sizes) {
        memory.jobs.push_back(outline.measure(size, job));
        job.throwIfCancelled();
      }
    });
  }
  trimHeap();
  return memory;
}

}  // namespace nd
