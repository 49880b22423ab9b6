// The engine's loader, given only files that were checked, and holding only tensors that its arithmetic can
// bear.

namespace nd::upstream {

// Once in a job, however often the engine opens the file.
inline Container checkOnce(const std::string& file) {
  if (active == nullptr) return checkModelFile(file);
  const auto known = active->checked.find(file);
  if (known != active->checked.end()) return known->second;
  return active->checked[file] = checkModelFile(file);
}

class CheckedLoader : public ModelLoader {
 public:
  // These hide the engine's functions of the same names and forms.
  bool init_from_file(const std::string& file, const std::string& prefix = "") {
    if (!open(checkOnce(file), file, prefix)) {
      const std::string why = takeErrorLines();
      throw EngineError(ErrorCode::ModelCorrupt, "The engine cannot read the header of \"" + file + "\"" +
                                                     (why.empty() ? "." : ": " + why));
    }
    checkStorages(file);
    return true;
  }

  void convert_tensors_name() {
    ModelLoader::convert_tensors_name();
    for (const auto& [name, storage] : tensor_storage_map) checkBlock({}, name);
  }

  bool init_from_file_and_convert_name(const std::string& file, const std::string& prefix = "",
                                       SDVersion version = VERSION_COUNT) {
    if (version_ == VERSION_COUNT && version != VERSION_COUNT) version_ = version;
    init_from_file(file, prefix);
    convert_tensors_name();
    return true;
  }

  // The engine converts on its reader threads, where a type without a conversion ends the process.
  static bool convertible(ggml_type from, ggml_type to) {
    if (from == to) return true;
    const bool readable = from == GGML_TYPE_F32 || ggml_get_type_traits(from)->to_float != nullptr;
    const bool writable =
        to == GGML_TYPE_F32 || to == GGML_TYPE_F16 || to == GGML_TYPE_BF16 || ggml_is_quantized(to);
    return readable && writable;
  }

 private:
  // The engine would find the container out by reading the whole header once more.
  bool open(Container container, const std::string& file, const std::string& prefix) {
    switch (container) {
      case Container::Diffusers:
        return init_from_diffusers_file(file, prefix);
      case Container::Gguf:
        return init_from_gguf_file(file, prefix);
      case Container::Safetensors:
        return init_from_safetensors_file(file, prefix);
      case Container::TorchZip:
        return init_from_torch_zip_file(file, prefix);
      case Container::TorchLegacy:
        return init_from_torch_legacy_file(file, prefix);
    }
    return false;
  }

  [[noreturn]] static void corrupt(const std::string& file, const std::string& name,
                                   const std::string& what) {
    throw EngineError(ErrorCode::ModelCorrupt,
                      "Tensor \"" + name.substr(0, 200) + "\"" +
                          (file.empty() ? "" : " of the model file \"" + file + "\"") + " " + what + ".");
  }

  // The engine builds as many blocks as the largest number in a name says.
  static void checkBlock(const std::string& file, const std::string& name) {
    if (hasExcessiveBlock(name)) corrupt(file, name, "has a block number that no network has");
  }

  // Pickles may say anything of a tensor; the other formats were checked in whole, and the limits hold for
  // them too.
  void checkStorages(const std::string& file) const {
    std::error_code error;
    const uint64_t fileBytes = std::filesystem::file_size(file, error);
    constexpr uint64_t farthest = uint64_t{1} << 62;
    for (const auto& [name, storage] : tensor_storage_map) {
      if (storage.file_index + 1 != file_paths_.size()) continue;
      if (name.size() > kMaxTensorName + farthestPrefix || name.find('\0') != std::string::npos)
        corrupt(file, name, "has an unusable name");
      checkBlock(file, name);
      if (ggml_blck_size(storage.type) <= 0) corrupt(file, name, "has an unknown type");
      int64_t count = 1;
      for (const int64_t axis : storage.ne) {
        if (axis < 1 || axis > (int64_t{1} << 40) / count)
          corrupt(file, name, "has an axis of 0 or is larger than any file");
        count *= axis;
      }
      const auto bytes = static_cast<uint64_t>(storage.nbytes_to_read());
      const bool inside = storage.index_in_zip >= 0 || error ||
                          (storage.offset <= fileBytes && bytes <= fileBytes - storage.offset);
      if (storage.offset > farthest || !inside) corrupt(file, name, "lies outside the file");
    }
  }

  static constexpr size_t farthestPrefix = 64;
};

}  // namespace nd::upstream
