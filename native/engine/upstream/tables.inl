// Name tables, inspection of files, and the engine's process-wide callbacks.

namespace nd {
namespace upstream {

template <typename Enum>
std::vector<std::string> names(int count, const char* (*nameOf)(Enum)) {
  std::vector<std::string> list;
  list.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) list.emplace_back(nameOf(static_cast<Enum>(i)));
  return list;
}

inline std::vector<std::string> weightTypeNames() {
  std::vector<std::string> list;
  for (int i = 0; i < std::min<int>(SD_TYPE_COUNT, GGML_TYPE_COUNT); ++i) {
    const ggml_type_traits* traits = ggml_get_type_traits(static_cast<ggml_type>(i));
    if (traits->type_name != nullptr && traits->blck_size > 0) list.emplace_back(traits->type_name);
  }
  return list;
}

inline void addFile(CheckedLoader& loader, const std::string& file, const std::string& prefix) {
  if (!file.empty()) loader.init_from_file(file, prefix);
}

}  // namespace upstream

NameTables nameTables() {
  NameTables tables;
  tables.samplers = upstream::names<sample_method_t>(SAMPLE_METHOD_COUNT, sd_sample_method_name);
  tables.schedules = upstream::names<scheduler_t>(SCHEDULER_COUNT, sd_scheduler_name);
  tables.rngs = upstream::names<rng_type_t>(RNG_TYPE_COUNT, sd_rng_type_name);
  tables.predictions = upstream::names<prediction_t>(PREDICTION_COUNT, sd_prediction_name);
  tables.previews = upstream::names<preview_t>(PREVIEW_COUNT, sd_preview_name);
  tables.weightTypes = upstream::weightTypeNames();
  tables.architectures.assign(std::begin(model_version_to_str), std::end(model_version_to_str));
  return tables;
}

Inspection inspect(const ModelFiles& files) {
  takeErrorLines();
  upstream::CheckedLoader loader;
  upstream::addFile(loader, files.checkpoint, "");
  upstream::addFile(loader, files.diffusionModel, "model.diffusion_model.");
  const bool unet =
      sd_version_is_unet(loader.get_sd_version()) || upstream::holdsUnet(loader.get_tensor_storage_map());
  upstream::addFile(loader, files.clipL,
                    unet ? "cond_stage_model.transformer." : "text_encoders.clip_l.transformer.");
  upstream::addFile(loader, files.clipG,
                    unet ? "cond_stage_model.1.transformer." : "text_encoders.clip_g.transformer.");
  upstream::addFile(loader, files.clipVision, "cond_stage_model.transformer.");
  upstream::addFile(loader, files.t5xxl, "text_encoders.t5xxl.transformer.");
  upstream::addFile(loader, files.llm, "text_encoders.llm.");
  upstream::addFile(loader, files.llmVision, "text_encoders.llm.visual.");
  upstream::addFile(loader, files.vae, "vae.");
  upstream::addFile(loader, files.taesd, "tae.");
  if (!files.controlNet.empty()) upstream::checkOnce(files.controlNet);
  loader.convert_tensors_name();
  Inspection inspection;
  const SDVersion version = loader.get_sd_version();
  if (version != VERSION_COUNT) inspection.architecture = model_version_to_str[version];
  for (const auto& [name, storage] : loader.get_tensor_storage_map()) {
    TensorHeader header{name, ggml_type_name(storage.type), {}};
    for (int axis = storage.n_dims - 1; axis >= 0; --axis) header.shape.push_back(storage.ne[axis]);
    inspection.tensors.push_back(std::move(header));
  }
  return inspection;
}

namespace upstream {

// The engine fills its maps of tensor names at the first name of each kind, without a lock, and two models
// may load at once: so now.
inline void fillNameMaps() {
  for (int version = 0; version < VERSION_COUNT; ++version) {
    for (const char* name :
         {"model.diffusion_model.x", "cond_stage_model.x", "first_stage_model.x", "pmid.x"})
      convert_tensor_name(name, static_cast<SDVersion>(version));
  }
}

}  // namespace upstream

void installCallbacks() {
  upstream::fillNameMaps();
  setLogSink(LogLevel::Error, {});  // until somebody listens
  ggml_log_set(ggml_log_callback_default, nullptr);
  sd_set_progress_callback(upstream::onEngineProgress, nullptr);
}

}  // namespace nd
