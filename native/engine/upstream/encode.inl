// Text to conditioning, and the schedule of sigmas.

namespace nd {

Conditioning::Conditioning(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Conditioning::~Conditioning() = default;

size_t Conditioning::bytes() const {
  const SDCondition& value = impl_->value;
  size_t count = value.c_crossattn.numel() + value.c_vector.numel() + value.c_concat.numel() +
                 value.c_t5_ids.numel() + value.c_t5_weights.numel();
  for (const auto& extra : value.extra_c_crossattns) count += extra.numel();
  return count * sizeof(float);
}

Tensor Conditioning::context() const { return upstream::fromEngine(impl_->value.c_crossattn); }

std::vector<int64_t> Conditioning::shape() const { return context().shape; }

std::shared_ptr<const Conditioning> Model::encodePrompt(const EncodePromptParams& params, Job& job) {
  upstream::ActiveJob active{job, Phase::Encode};
  active.memory.budget = params.memoryBudget;
  return upstream::runOperation(active, "encode the prompt", [&] {
    upstream::report(job, Phase::Encode, 0, 1);
    std::shared_ptr<const Conditioning> conditioning = runTextEncoder(params);
    upstream::report(job, Phase::Encode, 1, 1);
    return conditioning;
  });
}

std::shared_ptr<const Conditioning> Model::runTextEncoder(const EncodePromptParams& params) {
  upstream::requirePart(impl_->leftOut.textEncoder, "text encoder");
  StableDiffusionGGML& sd = impl_->sd;
  std::vector<sd::Tensor<float>> references;
  for (const Image& image : params.refImages) references.push_back(upstream::toEngine(image));
  ConditionerParams request;
  request.text = params.prompt;
  request.clip_skip = params.clipSkip;
  request.width = params.width;
  request.height = params.height;
  request.adm_in_channels = static_cast<int>(sd.diffusion_model->get_adm_in_channels());
  request.zero_out_masked = params.zeroOutMasked;
  request.ref_images = &references;
  auto impl = std::make_unique<Conditioning::Impl>();
  const upstream::AbortableGraphs abortable;  // upstream.cpp makes the assertions of conditioners throw
  impl->value = upstream::encode(*sd.cond_stage_model, sd.n_threads, request);
  const Job& job = upstream::active->job;
  job.throwIfCancelled();
  if (impl->value.empty()) upstream::throwEmpty(job, "encode the prompt");
  return std::make_shared<const Conditioning>(std::move(impl));
}

namespace upstream {

// Without levels for the architecture the engine interpolates an empty list.
inline bool hasAysLevels(SDVersion version) {
  return sd_version_is_sd1(version) || sd_version_is_sdxl(version) || version == VERSION_SVD;
}

// Of one step the engine divides by zero, or reads before its table: such a step begins at the largest sigma.
inline bool undefinedForOneStep(scheduler_t schedule) {
  return schedule == KARRAS_SCHEDULER || schedule == EXPONENTIAL_SCHEDULER || schedule == GITS_SCHEDULER;
}

}  // namespace upstream

std::vector<float> Model::sigmas(const SigmaParams& params) {
  StableDiffusionGGML& sd = impl_->sd;
  const sample_method_t sampler = resolve_sample_method(
      &impl_->context,
      upstream::fromName("sampler", params.sampler, str_to_sample_method, SAMPLE_METHOD_COUNT));
  const scheduler_t schedule = resolve_scheduler(
      &impl_->context, upstream::fromName("schedule", params.schedule, str_to_scheduler, SCHEDULER_COUNT),
      sampler);
  sd.set_flow_shift(std::isnan(params.flowShift) ? INFINITY : params.flowShift);
  if (schedule == AYS_SCHEDULER && !upstream::hasAysLevels(sd.version)) {
    throw EngineError(ErrorCode::InvalidOption, "The schedule \"ays\" exists for SD 1.x and SDXL only.");
  }
  if (params.steps == 1 && upstream::undefinedForOneStep(schedule)) return {sd.denoiser->sigma_max(), 0.0F};
  return sd.denoiser->get_sigmas(static_cast<uint32_t>(params.steps),
                                 sd.get_image_seq_len(params.height, params.width), schedule, sd.version);
}

}  // namespace nd
