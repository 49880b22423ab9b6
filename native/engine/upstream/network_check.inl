// What the engine makes of names and shapes before it compares them with the network's: it divides by some,
// and ends the process over others.

namespace nd::upstream {

class NetworkCheck {
 public:
  NetworkCheck(SDVersion version, const String2TensorStorage& stored) : version_(version), stored_(stored) {}

  void run() const {
    if (sd_version_is_wan(version_)) checkWan();
    if (sd_version_is_flux(version_) || sd_version_is_flux2(version_)) checkFlux();
    if (sd_version_is_ernie_image(version_)) checkErnie();
  }

 private:
  static constexpr int64_t ropeWidth = 128;  // sum of the axes of the position embedding

  [[noreturn]] void fail(const std::string& what) const {
    throw EngineError(ErrorCode::ModelUnsupported,
                      "The files look like a model of a known family, but " + what + ".");
  }

  // The engine takes any name that ends like this; the first axis, or 0.
  int64_t axis(const char* ending, int index) const {
    int64_t value = 0;
    for (const auto& [name, storage] : stored_) {
      if (starts_with(name, "model.diffusion_model") && ends_with(name, ending)) value = storage.ne[index];
    }
    return value;
  }

  bool has(const char* part) const {
    return std::any_of(stored_.begin(), stored_.end(),
                       [&](const auto& entry) { return entry.first.find(part) != std::string::npos; });
  }

  // As WanRunner counts them.
  int wanLayers(const std::string& prefix) const {
    int layers = 0;
    for (const auto& [name, storage] : stored_) {
      const size_t at = name.find("blocks.");
      if (name.find(prefix) == std::string::npos || name.find("vace_blocks.") != std::string::npos) continue;
      if (at != std::string::npos)
        layers = std::max(layers, std::atoi(name.c_str() + at + std::strlen("blocks.")) + 1);
    }
    return layers;
  }

  void checkWan() const {
    const int layers = wanLayers("model.diffusion_model");
    constexpr int small = 30;
    constexpr int large = 40;
    if (layers != small && layers != large)
      fail("have " + std::to_string(layers) + " layers where 30 or 40 are known");
  }

  void checkFlux() const {
    int64_t head = axis("double_blocks.0.txt_attn.norm.key_norm.scale", 0);
    if (head == 0) head = axis("single_blocks.0.norm.key_norm.scale", 0);
    if (head == 0) fail("lack the key_norm.scale of their first block");
    const int64_t last = axis("single_blocks.0.norm.key_norm.scale", 0);
    if (head != ropeWidth || (last != 0 && last != head)) fail("have attention heads that are not 128 wide");
    const int64_t hidden = axis("txt_in.weight", 1);
    if (hidden % head != 0)
      fail("have a width of " + std::to_string(hidden) + ", which is no multiple of 128");
    const int64_t patch = axis("img_in_patch.weight", 0);
    const int64_t expected = has("__32x32__")                      ? 32
                             : version_ == VERSION_CHROMA_RADIANCE ? 16
                             : sd_version_is_flux2(version_)       ? 1
                                                                   : 2;
    if (patch > 0 && patch != expected && expected != 2 * patch) fail("have patches of an unknown size");
  }

  void checkErnie() const {
    const int64_t head = axis("layers.0.self_attention.norm_q.weight", 0);
    if (head != 0 && head != ropeWidth) fail("have attention heads that are not 128 wide");
  }

  SDVersion version_;
  const String2TensorStorage& stored_;
};

}  // namespace nd::upstream
