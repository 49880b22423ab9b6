// Pixels to latents and back.

namespace nd {
namespace upstream {

// Circular axes and tile sizes for one size, set as generate_image() sets them and restored afterwards.
class VaeScope {
 public:
  VaeScope(sd_ctx_t& context, const Tiling& tiling, int64_t width, int64_t height)
      : params_(imageParams(tiling, width, height)),
        request_(&context, &params_),
        axes_(&context, &params_, request_) {
    context.sd->vae_tiling_params = params_.vae_tiling_params;
    if (active != nullptr) active->tiled = tiling.enabled;
  }
  ~VaeScope() {
    if (active != nullptr) active->tiled = false;
  }
  VaeScope(const VaeScope&) = delete;
  VaeScope& operator=(const VaeScope&) = delete;

 private:
  static sd_img_gen_params_t imageParams(const Tiling& tiling, int64_t width, int64_t height) {
    sd_img_gen_params_t params;
    sd_img_gen_params_init(&params);
    params.width = static_cast<int>(width);
    params.height = static_cast<int>(height);
    params.seed = 0;
    params.vae_tiling_params = toEngine(tiling);
    return params;
  }

  sd_img_gen_params_t params_;
  GenerationRequest request_;
  ImageVaeAxesGuard axes_;
};

}  // namespace upstream

std::vector<Tensor> Model::encodeImages(const EncodeImageParams& params, Job& job) {
  upstream::ActiveJob active{job, Phase::Encode};
  active.encodesImages = true;
  active.memory.budget = params.memoryBudget;
  return upstream::runOperation(active, "encode the image", [&] {
    impl_->sd.rng->manual_seed(static_cast<uint64_t>(params.seed));
    std::vector<Tensor> latents;
    const int total = static_cast<int>(params.images.size());
    for (const auto& [image, mask] : params.images) {
      upstream::report(job, Phase::Encode, static_cast<int>(latents.size()), total);
      latents.push_back(runEncoder(image, mask ? &*mask : nullptr, params.tiling));
    }
    upstream::report(job, Phase::Encode, total, total);
    return latents;
  });
}

Tensor Model::runEncoder(const Image& image, const Image* mask, const Tiling& tiling) {
  upstream::requirePart(impl_->leftOut.vae, "VAE");
  const upstream::VaeScope scope(impl_->context, tiling, image.width, image.height);
  const upstream::AbortableGraphs abortable;
  sd::Tensor<float> pixels = upstream::toEngine(image);
  if (mask != nullptr) {  // the part to repaint becomes grey
    const sd::Tensor<float> repaint = sd::ops::round(upstream::toEngine(*mask));
    pixels = ((1.0F - repaint) * (pixels - 0.5F)) + 0.5F;
  }
  const sd::Tensor<float> latent = impl_->sd.encode_first_stage(pixels);
  const Job& job = upstream::active->job;
  if (latent.empty() || job.cancelled()) upstream::throwEmpty(job, "encode the image");
  return upstream::fromEngine(latent);
}

Image Model::decodeLatent(const DecodeParams& params, Job& job) {
  upstream::ActiveJob active{job, Phase::Decode};
  active.memory.budget = params.memoryBudget;
  return upstream::runOperation(active, "decode the latent", [&] {
    upstream::report(job, Phase::Decode, 0, 1);
    Image image = runDecoder(params.latent, params.tiling);
    upstream::report(job, Phase::Decode, 1, 1);
    return image;
  });
}

Image Model::runDecoder(const Tensor& latent, const Tiling& tiling) {
  upstream::requirePart(impl_->leftOut.vae, "VAE");
  StableDiffusionGGML& sd = impl_->sd;
  const int64_t factor = sd.get_vae_scale_factor();
  const upstream::VaeScope scope(impl_->context, tiling, latent.shape[3] * factor, latent.shape[2] * factor);
  const upstream::AbortableGraphs abortable;
  const sd::Tensor<float> pixels = sd.decode_first_stage(upstream::toEngine(latent));
  const Job& job = upstream::active->job;
  if (pixels.empty() || job.cancelled()) upstream::throwEmpty(job, "decode the latent");
  return upstream::takeImage(tensor_to_sd_image(pixels));
}

}  // namespace nd
