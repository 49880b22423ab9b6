// Files of an architecture that the engine recognises and then ends the process over, while it builds the
// network: before anything of JobLoader's is asked. Their names tell, so such a file is refused when it has
// been read.

namespace nd::upstream {

// Value of `<tag><number>.…` in a tensor's name, -1 without.
inline int blockNumber(const std::string& name, const std::string& tag) {
  const size_t at = name.find(tag);
  if (at == std::string::npos) return -1;
  return std::atoi(name.c_str() + at + tag.size());
}

inline std::string wanRefusal(const String2TensorStorage& tensors) {
  int depth = 0;
  for (const auto& [name, storage] : tensors) {
    depth = std::max(depth, blockNumber(name, "model.diffusion_model.blocks.") + 1);
  }
  if (depth == 30 || depth == 40) return {};
  return "Wan models have 30 or 40 blocks, this one has " + std::to_string(depth) + ".";
}

inline std::string fluxRefusal(const String2TensorStorage& tensors) {
  constexpr int64_t headWidth = 128;  // of the position embedding, fixed for the family
  const auto widthOf = [&](const char* end, int axis) -> int64_t {
    for (const auto& [name, storage] : tensors) {
      if (starts_with(name, "model.diffusion_model.") && ends_with(name, end)) return storage.ne[axis];
    }
    return 0;
  };
  const int64_t width = widthOf("txt_in.weight", 1);
  const int64_t head = std::max(widthOf("double_blocks.0.txt_attn.norm.key_norm.scale", 0),
                                widthOf("single_blocks.0.norm.key_norm.scale", 0));
  if (head == headWidth && width > 0 && width % headWidth == 0) return {};
  return "FLUX models are multiples of " + std::to_string(headWidth) +
         " wide with heads of that width; this one is " + std::to_string(width) + " wide with heads of " +
         std::to_string(head) + ".";
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
  if (sd_version_is_flux(version) || sd_version_is_flux2(version)) return fluxRefusal(tensors);
  return {};
}

}  // namespace nd::upstream
