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

// Everything but the parts' bytes.
inline ModelInfo describeVersion(StableDiffusionGGML& sd, const char* prediction, bool hasTaesd) {
  const sample_method_t sampler = sd_version_is_dit(sd.version) ? EULER_SAMPLE_METHOD : EULER_A_SAMPLE_METHOD;
  const bool edm = std::string(prediction) == sd_prediction_name(EDM_V_PRED);
  ModelInfo info;
  info.architecture = model_version_to_str[sd.version];
  info.latentChannels = sd.get_latent_channel();
  info.concatChannels = concatChannels(sd, info.latentChannels);
  info.scaleFactor = sd.get_vae_scale_factor();
  info.sizeMultiple = info.scaleFactor * sd.get_diffusion_model_down_factor();
  info.defaultSampler = sd_sample_method_name(sampler);
  info.defaultSchedule = sd_scheduler_name(edm ? EXPONENTIAL_SCHEDULER : DISCRETE_SCHEDULER);
  info.prediction = prediction;
  info.isInpaint = sd_version_is_inpaint(sd.version);
  info.isEdit = sd_version_is_unet_edit(sd.version);
  info.isControl = sd_version_is_control(sd.version);
  info.isDit = sd_version_is_dit(sd.version);
  info.isVideo = sd_version_supports_video_generation(sd.version);
  info.isSdxl = sd_version_is_sdxl(sd.version);
  info.hasControlNet = sd.control_net != nullptr;
  info.usesTaesd = hasTaesd;
  info.canEncodeImages = !sd.vae_decode_only;
  return info;
}

// What the engine will find the model to predict, before it has read the weights: as init() tells, but for
// SD 2.x, where it tries the model out.
inline const char* foreseenPrediction(const StableDiffusionGGML& sd, const std::string& wanted,
                                      const String2TensorStorage& tensors) {
  if (!wanted.empty()) return wanted.c_str();
  const SDVersion version = sd.version;
  prediction_t prediction = EPS_PRED;
  if (sd_version_is_sdxl(version)) {
    if (tensors.count("edm_vpred.sigma_max") > 0)
      prediction = EDM_V_PRED;
    else if (tensors.count("v_pred") > 0)
      prediction = V_PRED;
  } else if (sd_version_is_sd3(version) || sd_version_is_wan(version) || sd_version_is_qwen_image(version) ||
             sd_version_is_anima(version) || sd_version_is_ernie_image(version) ||
             sd_version_is_z_image(version)) {
    prediction = FLOW_PRED;
  } else if (sd_version_is_flux(version)) {
    prediction = FLUX_FLOW_PRED;
  } else if (sd_version_is_flux2(version)) {
    prediction = FLUX2_FLOW_PRED;
  }
  return sd_prediction_name(prediction);
}

}  // namespace upstream

ModelInfo Model::describe() const {
  StableDiffusionGGML& sd = impl_->sd;
  ModelInfo info = upstream::describeVersion(sd, upstream::predictionOf(sd), impl_->hasTaesd);
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
                                        sd.control_net->get_runtime_backend()));
  }
  for (const Component& part : parts) info.tensors += part.tensors;
  return info;
}

}  // namespace nd
