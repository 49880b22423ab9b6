// Facts about a loaded model.

namespace nd {
namespace upstream {

inline const char* predictionOf(const StableDiffusionGGML& sd) {
  Denoiser* denoiser = sd.denoiser.get();
  prediction_t prediction = EPS_PRED;
  if (dynamic_cast<Flux2FlowDenoiser*>(denoiser) != nullptr)
    prediction = FLUX2_FLOW_PRED;
  else if (dynamic_cast<FluxFlowDenoiser*>(denoiser) != nullptr)
    prediction = FLUX_FLOW_PRED;
  else if (dynamic_cast<DiscreteFlowDenoiser*>(denoiser) != nullptr)
    prediction = FLOW_PRED;
  else if (dynamic_cast<EDMVDenoiser*>(denoiser) != nullptr)
    prediction = EDM_V_PRED;
  else if (dynamic_cast<CompVisVDenoiser*>(denoiser) != nullptr)
    prediction = V_PRED;
  return sd_prediction_name(prediction);
}

// As prepare_image_generation_latents() of the engine builds them.
inline int concatChannels(const StableDiffusionGGML& sd, int latentChannels) {
  constexpr int fluxFillMask = 64;  // the mask's 8x8 pixels of a latent cell become channels
  if (sd.version == VERSION_FLEX_2) return 2 * latentChannels + 1;
  if (sd.version == VERSION_FLUX_FILL) return latentChannels + fluxFillMask;
  if (sd_version_is_inpaint(sd.version)) return latentChannels + 1;
  return sd_version_is_unet_edit(sd.version) || sd_version_is_control(sd.version) ? latentChannels : 0;
}

template <typename Part>
size_t countTensors(Part& part) {
  std::map<std::string, ggml_tensor*> tensors;
  part.get_param_tensors(tensors);
  return tensors.size();
}

inline size_t countTensors(VAE& vae, const char* prefix) {
  std::map<std::string, ggml_tensor*> tensors;
  vae.get_param_tensors(tensors, prefix);
  return tensors.size();
}

}  // namespace upstream

ModelInfo Model::describe() const {
  StableDiffusionGGML& sd = impl_->sd;
  const sample_method_t sampler = sd_get_default_sample_method(&impl_->context);
  ModelInfo info;
  info.architecture = model_version_to_str[sd.version];
  info.latentChannels = sd.get_latent_channel();
  info.concatChannels = upstream::concatChannels(sd, info.latentChannels);
  info.scaleFactor = sd.get_vae_scale_factor();
  info.sizeMultiple = info.scaleFactor * sd.get_diffusion_model_down_factor();
  info.defaultSampler = sd_sample_method_name(sampler);
  info.defaultSchedule = sd_scheduler_name(sd_get_default_scheduler(&impl_->context, sampler));
  info.prediction = upstream::predictionOf(sd);
  info.isInpaint = sd_version_is_inpaint(sd.version);
  info.isEdit = sd_version_is_unet_edit(sd.version);
  info.isControl = sd_version_is_control(sd.version);
  info.isDit = sd_version_is_dit(sd.version);
  info.isVideo = sd_version_supports_video_generation(sd.version);
  info.isSdxl = sd_version_is_sdxl(sd.version);
  info.hasControlNet = sd.control_net != nullptr;
  info.usesTaesd = impl_->hasTaesd;
  info.canEncodeImages = !sd.vae_decode_only;
  auto& parts = info.components;
  parts.push_back(upstream::component("textEncoder", sd.cond_stage_model->get_params_buffer_size(),
                                      upstream::countTensors(*sd.cond_stage_model), sd.clip_backend));
  parts.push_back(upstream::component("diffusionModel", sd.diffusion_model->get_params_buffer_size(),
                                      upstream::countTensors(*sd.diffusion_model), sd.backend));
  parts.push_back(upstream::component("vae", sd.first_stage_model->get_params_buffer_size(),
                                      upstream::countTensors(*sd.first_stage_model, "vae"), sd.vae_backend));
  if (sd.preview_vae) {
    parts.push_back(upstream::component("previewVae", sd.preview_vae->get_params_buffer_size(),
                                        upstream::countTensors(*sd.preview_vae, "tae"), sd.vae_backend));
  }
  if (sd.control_net) {
    parts.push_back(upstream::component("controlNet", sd.control_net->get_params_buffer_size(), 0,
                                        sd.control_net_backend));
  }
  for (const Component& part : parts) info.tensors += part.tensors;
  return info;
}

}  // namespace nd
