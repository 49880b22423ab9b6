// A run of the sampler that another model goes on with. The samplers keep what they know in local variables:
// past predictions, the state of the generator. So the model's predictions are handed on in place of that:
// who goes on runs the sampler from its beginning, with the predictions that are known in place of
// evaluations, and has all of it. The arithmetic between evaluations costs nothing beside them.

namespace nd::upstream {

struct Handover {
  int stopAfter = 0;  // steps; 0: to the end
  std::vector<sd::Tensor<float>> known;
  std::vector<sd::Tensor<float>> made;
};

// In place of the engine's sample_k_diffusion(). What it returns of a run that stopped is not a latent.
inline sd::Tensor<float> runSteps(sample_method_t method, const denoise_cb_t& model, sd::Tensor<float> x,
                                  const std::vector<float>& sigmas, const std::shared_ptr<RNG>& rng,
                                  float eta, bool flow) {
  if (active == nullptr || active->handover == nullptr)
    return sample_k_diffusion(method, model, std::move(x), sigmas, rng, eta, flow);
  Handover& handover = *active->handover;
  const int steps = static_cast<int>(sigmas.size()) - 1;
  size_t next = 0;
  bool stopped = false;
  // The engine's samplers number their steps from 1; the first of two evaluations in a step has the number
  // negated.
  const denoise_cb_t partly = [&](const sd::Tensor<float>& latent, float sigma,
                                  int step) -> sd::Tensor<float> {
    if (next < handover.known.size()) return handover.known[next++];
    if (handover.stopAfter > 0 && std::abs(step) > handover.stopAfter) {
      stopped = true;
      return {};
    }
    if (active->stepsHere == 0) {
      active->stepsBefore = std::abs(step) - 1;
      active->stepsHere = (handover.stopAfter > 0 ? handover.stopAfter : steps) - active->stepsBefore;
    }
    sd::Tensor<float> denoised = model(latent, sigma, step);
    if (handover.stopAfter > 0 && !denoised.empty()) handover.made.push_back(denoised);
    return denoised;
  };
  sd::Tensor<float> result = sample_k_diffusion(method, partly, std::move(x), sigmas, rng, eta, flow);
  if (stopped && !handover.made.empty()) return handover.made.back();
  return result;
}

}  // namespace nd::upstream
