// The engine's loader, with a check of the whole file before anything is read, byte counts, and a way to
// stop.

namespace nd::upstream {

class JobLoader : public ModelLoader {
 public:
  // Hides ModelLoader's overload of the same form, which reports one missing tensor a log line and cannot be
  // stopped.
  bool load_tensors(std::map<std::string, ggml_tensor*>& wanted, const std::set<std::string>& ignored,
                    int threads, bool mmap) {
    if (!check(wanted)) return false;
    active->sources = std::make_shared<Sources>();
    active->sources->files = file_paths_;
    for (const auto& [name, storage] : get_tensor_storage_map()) {
      if (wanted.count(name) == 0) continue;
      active->sources->tensors[name] = storage;
      active->bytesTotal += static_cast<uint64_t>(storage.nbytes_to_read());
    }
    ActiveJob& job =
        *active;  // the callback runs on the engine's reader threads, which have no job of their own
    const auto give = [&](const TensorStorage& storage, ggml_tensor** target) {
      if (job.job.cancelled()) return false;
      const auto found = wanted.find(storage.name);
      if (found == wanted.end()) return true;
      *target = found->second;
      job.bytes.fetch_add(static_cast<uint64_t>(storage.nbytes_to_read()), std::memory_order_relaxed);
      return true;
    };
    static_cast<void>(ignored);  // what is not wanted is passed over, known or unknown
    return ModelLoader::load_tensors(give, threads, mmap);
  }

 private:
  // The engine itself does without these.
  static bool optional(const std::string& name) {
    return name.find("cond_stage_model.transformer.text_model.encoder.layers.23") != std::string::npos ||
           name.find("alphas_cumprod") != std::string::npos;
  }

  static std::string shapeText(const int64_t* ne) {
    return "[" + std::to_string(ne[3]) + ", " + std::to_string(ne[2]) + ", " + std::to_string(ne[1]) + ", " +
           std::to_string(ne[0]) + "]";
  }

  bool fail(ErrorCode code, const std::string& message) {
    active->loadErrorCode = code;
    active->loadError = message;
    return false;
  }

  bool check(const std::map<std::string, ggml_tensor*>& wanted) {
    std::vector<std::string> missing;
    const auto& stored = get_tensor_storage_map();
    for (const auto& [name, tensor] : wanted) {
      const auto found = stored.find(name);
      if (found == stored.end()) {
        if (!optional(name)) missing.push_back(name);
        continue;
      }
      const TensorStorage& storage = found->second;
      if (!std::equal(tensor->ne, tensor->ne + GGML_MAX_DIMS, storage.ne)) {
        return fail(ErrorCode::ModelCorrupt, "Tensor \"" + name + "\" has shape " + shapeText(storage.ne) +
                                                 " in the file, but the architecture needs " +
                                                 shapeText(tensor->ne) + ".");
      }
      if (tensor->data == nullptr && tensor->buffer == nullptr) {
        return fail(ErrorCode::OutOfMemory, "The memory for the model's weights could not be allocated.");
      }
    }
    return missing.empty() || fail(ErrorCode::ModelUnsupported, missingText(missing));
  }

  static std::string missingText(const std::vector<std::string>& missing) {
    const auto lacks = [&](const char* prefix) {
      return std::any_of(missing.begin(), missing.end(),
                         [&](const std::string& name) { return starts_with(name, prefix); });
    };
    std::string text = std::to_string(missing.size()) +
                       " tensors that the architecture needs are missing, first \"" + missing.front() + "\".";
    if (lacks("first_stage_model.")) text += " The checkpoint has no VAE: give one as `vae` or `taesd`.";
    if (lacks("tae.")) text += " The file given as `taesd` is not a TAESD of this architecture.";
    if (lacks("cond_stage_model.") || lacks("text_encoders.")) {
      text += " Text encoder weights are missing: give them as `clipL`, `clipG`, `t5xxl` or `llm`.";
    }
    return text;
  }
};

}  // namespace nd::upstream
