// Files of an architecture that the engine recognises and then ends the process over, while it builds the
// network: before anything of JobLoader's is asked. Their names tell, so such a file is refused when it has
// been read.

namespace nd::upstream {

// As WanRunner counts them.
inline std::string wanRefusal(const String2TensorStorage& tensors) {
  const std::string tag = "blocks.";
  int depth = 0;
  for (const auto& [name, storage] : tensors) {
    const size_t at = name.find(tag);
    const bool counts = name.find("model.diffusion_model") != std::string::npos &&
                        name.find("vace_blocks.") == std::string::npos && at != std::string::npos;
    if (counts) depth = std::max(depth, std::atoi(name.c_str() + at + tag.size()) + 1);
  }
  if (depth == 30 || depth == 40) return {};
  return "Wan models have 30 or 40 blocks, this one has " + std::to_string(depth) + ".";
}

// An axis of the tensors of the diffusion model whose names end so: 0 without any, -1 when they differ. The
// engine takes the one it comes to last.
inline int64_t commonAxis(const String2TensorStorage& tensors, const char* ending, int axis) {
  int64_t common = 0;
  for (const auto& [name, storage] : tensors) {
    if (!starts_with(name, "model.diffusion_model") || !ends_with(name, ending)) continue;
    common = common == 0 || common == storage.ne[axis] ? storage.ne[axis] : -1;
  }
  return common;
}

inline constexpr int64_t headWidth = 128;  // of the position embedding, fixed for the families

inline std::string fluxRefusal(SDVersion version, const String2TensorStorage& tensors) {
  const int64_t width = commonAxis(tensors, "txt_in.weight", 1);
  const int64_t ofDouble = commonAxis(tensors, "double_blocks.0.txt_attn.norm.key_norm.scale", 0);
  const int64_t ofSingle = commonAxis(tensors, "single_blocks.0.norm.key_norm.scale", 0);
  const int64_t head = ofDouble == 0 || ofSingle == ofDouble ? ofSingle : ofSingle == 0 ? ofDouble : -1;
  if (head != headWidth || width <= 0 || width % headWidth != 0) {
    return "FLUX models are multiples of " + std::to_string(headWidth) +
           " wide with heads of that width; this one is " + std::to_string(width) + " wide with heads of " +
           std::to_string(head) + ".";
  }
  const auto has = [&](const char* part) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& entry) { return entry.first.find(part) != std::string::npos; });
  };
  const int64_t patch = commonAxis(tensors, "img_in_patch.weight", 0);
  const int64_t expected = has("__32x32__")                     ? 32
                           : version == VERSION_CHROMA_RADIANCE ? 16
                           : sd_version_is_flux2(version)       ? 1
                                                                : 2;
  if (patch == 0 || patch == expected || expected == 2 * patch) return {};
  return "The patches of this model have an unknown size: " + std::to_string(patch) + ".";
}

// The engine counts the heads before it has come to the width, so with the usual one.
inline std::string ernieRefusal(const String2TensorStorage& tensors) {
  constexpr int64_t usualWidth = 4096;
  const int64_t head = commonAxis(tensors, "layers.0.self_attention.norm_q.weight", 0);
  const int64_t width = commonAxis(tensors, "x_embedder.proj.weight", 3);
  if ((head == 0 || head == headWidth) && (width == 0 || width == usualWidth)) return {};
  return "ERNIE-Image is " + std::to_string(usualWidth) + " wide with heads of " + std::to_string(headWidth) +
         "; this one is " + std::to_string(width) + " wide with heads of " + std::to_string(head) + ".";
}

// Before the text encoders are read, the engine asks for the version to learn whether they go with a UNet,
// but it tells UNets apart by their text encoders: alone, they are no version at all.
inline bool holdsUnet(const String2TensorStorage& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& entry) {
    return starts_with(entry.first, "model.diffusion_model.input_blocks.") ||
           starts_with(entry.first, "model.diffusion_model.down_blocks.") ||
           starts_with(entry.first, "unet.down_blocks.");
  });
}

// What is wrong with the files, empty when nothing is. Names are those after convert_tensors_name().
inline std::string refusal(SDVersion version, const String2TensorStorage& tensors) {
  if (version == VERSION_SVD) return "SVD is a video model whose text encoder the engine does not have.";
  if (sd_version_is_wan(version)) return wanRefusal(tensors);
  if (sd_version_is_flux(version) || sd_version_is_flux2(version)) return fluxRefusal(version, tensors);
  if (sd_version_is_ernie_image(version)) return ernieRefusal(tensors);
  return {};
}

}  // namespace nd::upstream
