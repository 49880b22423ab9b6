// The one translation unit that sees the engine's internals: it includes stable-diffusion.cpp (and
// upscaler.cpp) in place of those object files, with the few names below redirected. Parts of our own side
// are in upstream/*.inl, in order.
#include "upstream.h"

#include "failure.h"
#include "heap.h"
#include "log.h"
#include "lora/weights.h"
#include "zip.h"
#include "model_file/check.h"
#include "prompt_attention.h"
#include "source_file.h"
#include "work_size.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <unordered_set>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include "backend_shim.h"
#include "engine_shim.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "model.h"
#include "util.h"

#include "upstream/active_job.inl"
#include "upstream/device_failure.inl"
#include "upstream/memory.inl"

// Every graph of the engine goes through here, so that a job can stop a CPU graph between two nodes.
#define ggml_backend_graph_compute ::nd::upstream::computeGraph
#define parse_prompt_attention ::nd::parsePromptAttention
// What the engine allocates is measured, and refused beyond a job's budget.
#define ggml_gallocr_reserve ::nd::upstream::reserveGraph
#define ggml_gallocr_alloc_graph ::nd::upstream::allocGraph
#define ggml_gallocr_free ::nd::upstream::freeGraph
#define ggml_backend_alloc_ctx_tensors ::nd::upstream::allocTensors
#define ggml_backend_tensor_get ::nd::upstream::readTensor
#define ggml_backend_tensor_set ::nd::upstream::writeTensor
#define ggml_backend_tensor_copy ::nd::upstream::copyTensor
#include "ggml_extend.hpp"
// clang-format off
#include "rng.hpp"
#include "rng_mt19937.hpp"
#include "rng_philox.hpp"
#include "auto_encoder_kl.hpp"
#include "clip.hpp"
#include "llm.hpp"
#include "t5.hpp"
// The conditioners assert that the graphs of their text encoders succeed; that of a cancelled job does not.
#pragma push_macro("GGML_ASSERT")
#undef GGML_ASSERT
#define GGML_ASSERT(x) ((x) ? static_cast<void>(0) : ::nd::upstream::conditionerFailed(#x))
#include "conditioner.hpp"
#pragma pop_macro("GGML_ASSERT")
#include "denoiser.hpp"
#include "diffusion_model.hpp"
#include "lora.hpp"
#include "pmid.hpp"
#include "sample-cache.h"
#include "tae.hpp"
#include "vae.hpp"
#include "name_conversion.h"
// clang-format on

#include "upstream/checked_loader.inl"
#include "upstream/refusals.inl"
#include "upstream/job_loader.inl"
#include "upstream/handover.inl"

#define sd_get_default_backend ::nd::upstream::jobBackend
#define sd_get_preview_callback ::nd::upstream::previewCallback
#define sd_get_preview_callback_data ::nd::upstream::previewData
#define sd_get_preview_mode ::nd::upstream::previewMode
#define sd_should_preview_denoised ::nd::upstream::shouldPreview
#define sd_should_preview_noisy() false
// Set once for the process (installCallbacks): the engine sets it again at every load, while another model
// may log.
#define ggml_log_set(...) static_cast<void>(0)
// The loader of whole models, ControlNets and upscalers; the other users of ModelLoader were included above.
#define ModelLoader ::nd::upstream::JobLoader
// A run may stop for another model to go on with it. Defined in denoiser.hpp, called in stable-diffusion.cpp.
#define sample_k_diffusion ::nd::upstream::runSteps
#include "control.hpp"
#include "esrgan.hpp"
#include "upscaler.cpp"
#include "stable-diffusion.cpp"
#undef sample_k_diffusion
#undef ModelLoader
#undef ggml_log_set
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "upstream/convert.inl"
#include "upstream/weights.inl"
#include "upstream/networks.inl"
#include "upstream/load.inl"
#include "upstream/describe.inl"
#include "upstream/tokens.inl"
#include "upstream/encode.inl"
#include "upstream/sample.inl"
#include "upstream/image.inl"
#include "upstream/measure.inl"
#include "upstream/upscale.inl"
#include "upstream/lora_weights.inl"
#include "upstream/runtime_lora.inl"
#include "upstream/compiled.inl"
#include "upstream/tables.inl"
