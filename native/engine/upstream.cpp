// The one translation unit that sees the engine's internals: it includes stable-diffusion.cpp (and
// upscaler.cpp) in place of those object files, with the few names below redirected. Parts of our own side
// are in upstream/*.inl, in order.
#include "upstream.h"

#include "log.h"
#include "lora/weights.h"
#include "zip.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include "engine_shim.h"
#include "ggml-backend.h"
#include "model.h"
#include "util.h"

#include "upstream/active_job.inl"

// Every graph of the engine goes through here, so that a job can stop a CPU graph between two nodes.
#define ggml_backend_graph_compute ::nd::upstream::computeGraph
#include "ggml_extend.hpp"
// clang-format off
#include "rng.hpp"
#include "rng_mt19937.hpp"
#include "rng_philox.hpp"
#include "auto_encoder_kl.hpp"
#include "conditioner.hpp"
#include "control.hpp"
#include "denoiser.hpp"
#include "diffusion_model.hpp"
#include "esrgan.hpp"
#include "lora.hpp"
#include "pmid.hpp"
#include "sample-cache.h"
#include "tae.hpp"
#include "upscaler.h"
#include "vae.hpp"
#include "name_conversion.h"
// clang-format on

#include "upstream/job_loader.inl"

#define sd_get_default_backend ::nd::upstream::jobBackend
#define sd_get_preview_callback ::nd::upstream::previewCallback
#define sd_get_preview_callback_data ::nd::upstream::previewData
#define sd_get_preview_mode ::nd::upstream::previewMode
#define sd_should_preview_denoised ::nd::upstream::shouldPreview
#define sd_should_preview_noisy() false
#include "upscaler.cpp"
// Only the loader of whole models: the other users of ModelLoader were included above.
#define ModelLoader ::nd::upstream::JobLoader
#include "stable-diffusion.cpp"
#undef ModelLoader
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "upstream/convert.inl"
#include "upstream/load.inl"
#include "upstream/describe.inl"
#include "upstream/encode.inl"
#include "upstream/sample.inl"
#include "upstream/image.inl"
#include "upstream/upscale.inl"
#include "upstream/weights.inl"
#include "upstream/runtime_lora.inl"
#include "upstream/tables.inl"
