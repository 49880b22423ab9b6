// Loading a model: our options to the engine's parameters, and what went wrong in our words.

namespace nd {

namespace upstream {
class RuntimeLoras;
}

constexpr size_t kTokenizerBytes = size_t{40} << 20;

struct Conditioning::Impl {
  SDCondition value;
};

struct Model::Impl {
  StableDiffusionGGML sd;
  sd_ctx_t context{&sd};
  bool hasTaesd = false;
  LeftOut leftOut;
  std::vector<upstream::Network> networks;
  std::shared_ptr<upstream::Sources> sources;
  std::unique_ptr<lora::Weights> weights;  // made when first asked for
  std::shared_ptr<upstream::RuntimeLoras> runtimeLoras;

  // Makes the model of its files, under the load's active job.
  void init(const LoadOptions& options, const sd_ctx_params_t& params, upstream::ActiveJob& active);
};

namespace upstream {

inline sd_ctx_params_t engineParams(const LoadOptions& options) {
  sd_ctx_params_t params;
  sd_ctx_params_init(&params);
  const ModelFiles& files = options.files;
  params.model_path = files.checkpoint.c_str();
  params.diffusion_model_path = files.diffusionModel.c_str();
  params.vae_path = files.vae.c_str();
  params.taesd_path = files.taesd.c_str();
  params.clip_l_path = files.clipL.c_str();
  params.clip_g_path = files.clipG.c_str();
  params.clip_vision_path = files.clipVision.c_str();
  params.t5xxl_path = files.t5xxl.c_str();
  params.llm_path = files.llm.c_str();
  params.llm_vision_path = files.llmVision.c_str();
  params.control_net_path = files.controlNet.c_str();
  params.n_threads = options.threads > 0 ? options.threads : sd_get_num_physical_cores();
  params.wtype = fromName("weightType", options.weightType, str_to_sd_type, SD_TYPE_COUNT);
  params.tensor_type_rules = options.tensorTypeRules.c_str();
  params.rng_type = fromName("rng", options.rng, str_to_rng_type, RNG_TYPE_COUNT);
  if (params.rng_type == RNG_TYPE_COUNT) params.rng_type = CUDA_RNG;
  params.sampler_rng_type = fromName("samplerRng", options.samplerRng, str_to_rng_type, RNG_TYPE_COUNT);
  params.prediction = fromName("prediction", options.prediction, str_to_prediction, PREDICTION_COUNT);
  params.vae_decode_only = options.vaeDecodeOnly;
  params.free_params_immediately = false;
  params.offload_params_to_cpu = options.offloadToCpu;
  params.enable_mmap = options.mmap;
  params.keep_clip_on_cpu = options.keepTextEncoderOnCpu;
  params.keep_vae_on_cpu = options.keepVaeOnCpu;
  params.keep_control_net_on_cpu = options.keepControlNetOnCpu;
  params.flash_attn = options.flashAttention;
  params.diffusion_flash_attn = options.flashAttention;
  params.tae_preview_only = options.taesdPreviewOnly;
  params.diffusion_conv_direct = options.diffusionConvDirect;
  params.vae_conv_direct = options.vaeConvDirect;
  params.circular_x = options.circularX;
  params.circular_y = options.circularY;
  params.max_vram = options.maxVram;
  return params;
}

// The engine copes badly with a backend that cannot be made, so one with options is made once to see.
inline bool usesTaesd(const LoadOptions& options) {
  return !options.files.taesd.empty() && !options.taesdPreviewOnly;
}

inline void checkDevice(const std::string& device, const std::string& options) {
  if (device.empty()) {  // the engine's own choice ends with the CPU
    if (ggml_backend_reg_by_name("CPU") != nullptr) return;
    throw EngineError(ErrorCode::BackendUnavailable, "No CPU module is loaded: name a device.");
  }
  if (ggml_backend_dev_by_name(device.c_str()) == nullptr)
    throw EngineError(ErrorCode::BackendUnavailable, "There is no device \"" + device + "\".");
  if (options.empty()) return;
  takeErrorLines();
  ggml_backend_t backend = ggml_backend_init_by_name(device.c_str(), options.c_str());
  if (backend == nullptr) {
    const std::string why = takeErrorLines();
    const bool option = why.find("invalid option: ") != std::string::npos;
    throw EngineError(option ? ErrorCode::InvalidOption : ErrorCode::BackendUnavailable,
                      "The device \"" + device + "\" cannot be used: " + why);
  }
  ggml_backend_free(backend);
}

// Where parts of the model have to be on the CPU, the engine takes for granted that its module is there.
inline void checkDevices(const LoadOptions& options) {
  checkDevice(options.device, options.deviceOptions);
  const bool parts = options.keepTextEncoderOnCpu || options.keepVaeOnCpu || options.keepControlNetOnCpu;
  if ((parts || options.offloadToCpu) && ggml_backend_reg_by_name("CPU") == nullptr)
    throw EngineError(ErrorCode::BackendUnavailable,
                      "No CPU module is loaded, and parts of the model shall be on the CPU.");
}

[[noreturn]] inline void throwLoadFailure(const ActiveJob& job) {
  job.job.throwIfCancelled();
  if (!job.loadError.empty()) throw EngineError(job.loadErrorCode, job.loadError);
  const std::string why = takeErrorLines();
  const bool unknown = why.find("get sd version") != std::string::npos;
  throw EngineError(
      unknown ? ErrorCode::ModelUnsupported : ErrorCode::ModelCorrupt,
      unknown ? "The files hold no model of an architecture that the engine knows."
              : "The engine could not load the model: " + (why.empty() ? "no reason given" : why) + ".");
}

// Another model does what a part that was left out would do; measuring needs no data.
inline void requirePart(bool leftOut, const char* part) {
  if (leftOut && !measuring())
    throw EngineError(ErrorCode::InvalidOption,
                      std::string("The model was loaded without its ") + part + ".");
}

// Before the engine makes anything, so that a damaged file costs nothing.
inline void checkFiles(const ModelFiles& files) {
  for (const std::string* file :
       {&files.checkpoint, &files.diffusionModel, &files.vae, &files.taesd, &files.clipL, &files.clipG,
        &files.clipVision, &files.t5xxl, &files.llm, &files.llmVision, &files.controlNet}) {
    if (!file->empty()) checkOnce(*file);
  }
}

// The engine opens a ControlNet after it has read everything else.
inline void checkControlNet(StableDiffusionGGML& sd, const std::string& file) {
  if (sd.control_net == nullptr || file.empty()) return;
  JobLoader loader;
  loader.init_from_file_and_convert_name(file);
  std::map<std::string, ggml_tensor*> wanted;
  sd.control_net->control_net.get_param_tensors(wanted);
  if (!loader.check(wanted))
    throw EngineError(active->loadErrorCode,
                      "The ControlNet \"" + file + "\" does not fit: " + active->loadError);
}

}  // namespace upstream

void Model::Impl::init(const LoadOptions& options, const sd_ctx_params_t& params,
                       upstream::ActiveJob& active) {
  growHeap(kTokenizerBytes);
  hasTaesd = upstream::usesTaesd(options);
  leftOut = active.leftOut = options.leftOut;
  active.wideConvolutions = options.wideConvolutions;
  upstream::checkFiles(options.files);
  active.checkCompanions = [&] { upstream::checkControlNet(sd, options.files.controlNet); };
  const bool loaded = sd.init(&params);
  sd.tensors.erase("alphas_cumprod");  // its memory was of the load, and the engine leaves the pointer
  if (!loaded) upstream::throwLoadFailure(active);
  active.job.throwIfCancelled();
}

std::unique_ptr<Model> Model::load(const LoadOptions& options, Job& job) {
  upstream::checkDevices(options);
  const sd_ctx_params_t params = upstream::engineParams(options);
  upstream::ActiveJob active{job, Phase::Load, options.device, options.deviceOptions};
  const auto load = [&] {
    auto impl = std::make_unique<Impl>();
    active.memory.deferred = true;
    active.onWeightsKnown = [&](const String2TensorStorage&) {
      return upstream::placeWeights(impl->sd, active, options.memoryBudget);
    };
    impl->init(options, params, active);
    impl->networks = upstream::networksOf(impl->sd);
    impl->sources = active.sources;
    return std::unique_ptr<Model>(new Model(std::move(impl)));
  };
  try {
    return upstream::runOperation(active, "load the model", load);
  } catch (...) {
    trimHeap();  // a load that fails leaves as many free pages behind as a model that is disposed of
    throw;
  }
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), info_(describe()) {}
Model::~Model() = default;

}  // namespace nd
