// ESRGAN upscalers.

namespace nd {

struct Upscaler::Impl {
  UpscalerGGML engine;
  Impl(int threads, bool direct, int tileSize) : engine(threads, direct, tileSize) {}
  ~Impl() {
    engine.esrgan_upscaler.reset();
    if (engine.backend != nullptr) ggml_backend_free(engine.backend);  // the engine never frees it
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

Upscaler::Upscaler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Upscaler::~Upscaler() = default;

std::unique_ptr<Upscaler> Upscaler::load(const UpscalerOptions& options, Job& job) {
  upstream::checkDevice(options.device, options.deviceOptions);
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  return upstream::runOperation(active, "load the upscaler", [&] {
    const int threads = options.threads > 0 ? options.threads : sd_get_num_physical_cores();
    checkModelFile(options.file);
    auto impl = std::make_unique<Impl>(threads, options.convDirect, options.tileSize);
    if (!impl->engine.load_from_file(options.file, options.offloadToCpu, threads))
      upstream::throwLoadFailure(active);
    job.throwIfCancelled();
    return std::unique_ptr<Upscaler>(new Upscaler(std::move(impl)));
  });
}

int Upscaler::scale() const { return impl_->engine.esrgan_upscaler->scale; }

Image Upscaler::upscale(const Image& image, Job& job) {
  upstream::ActiveJob active{job, Phase::Upscale};
  return upstream::runOperation(active, "upscale the image", [&] {
    upstream::report(job, Phase::Upscale, 0, 1);
    const upstream::AbortableGraphs abortable;
    const sd::Tensor<float> pixels = impl_->engine.upscale_tensor(upstream::toEngine(image));
    if (pixels.empty() || job.cancelled()) upstream::throwEmpty(job, "upscale the image");
    Image result = upstream::takeImage(tensor_to_sd_image(pixels));
    upstream::report(job, Phase::Upscale, 1, 1);
    return result;
  });
}

}  // namespace nd
