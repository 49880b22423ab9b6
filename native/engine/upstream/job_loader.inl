// The engine's loader, with a check of the whole file before anything is read, byte counts, and a way to
// stop.

namespace nd::upstream {

class JobLoader : public CheckedLoader {
 public:
  // Hides ModelLoader's, which the engine calls next, after the names of all files are its own.
  void convert_tensors_name() {
    CheckedLoader::convert_tensors_name();
    named_ = true;
  }

  // Hides ModelLoader's: what would end the process counts as no architecture.
  SDVersion get_sd_version() {
    const SDVersion version = ModelLoader::get_sd_version();
    const auto& tensors = get_tensor_storage_map();
    if (!named_) return version == VERSION_COUNT && holdsUnet(tensors) ? VERSION_SD1 : version;
    const std::string why = refusal(version, tensors);
    if (why.empty()) return version;
    fail(ErrorCode::ModelUnsupported, why);
    return VERSION_COUNT;
  }

  // Hides ModelLoader's overload of the same form, which reports one missing tensor a log line and cannot be
  // stopped.
  bool load_tensors(std::map<std::string, ggml_tensor*>& all, const std::set<std::string>& ignored,
                    int threads, bool mmap = false) {
    active->sources = std::make_shared<Sources>();
    active->sources->files = file_paths_;
    const std::map<std::string, ggml_tensor*> wanted = withoutLeftOut(all);
    if (!check(wanted)) return false;
    // Both are for the model's weights; a ControlNet's come through here later.
    const auto companions = std::exchange(active->checkCompanions, nullptr);
    const auto weightsKnown = std::exchange(active->onWeightsKnown, nullptr);
    if (companions) companions();
    if (std::exchange(active->wideConvolutions, false)) widenConvolutions(all);
    for (const auto& [name, storage] : get_tensor_storage_map()) {
      if (wanted.count(name) == 0) continue;
      active->sources->tensors[name] = storage;
      active->bytesTotal += static_cast<uint64_t>(storage.nbytes_to_read());
    }
    active->readBuffers = readBufferBytes(wanted, threads);
    active->mapped = mmap ? active->bytesTotal : 0;
    if (weightsKnown && !weightsKnown(get_tensor_storage_map())) return false;
    if (active->memory.dry) return true;  // weights without data are all that measuring needs
    if (!allocated(wanted)) return false;
    ActiveJob& job =
        *active;  // the callback runs on the engine's reader threads, which have no job of their own
    const auto give = [&](const TensorStorage& storage, ggml_tensor** target) {
      job.job.touch();
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

  // Whether the files have what the network needs; what they lack is in the active job.
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
      if (!std::equal(tensor->ne, tensor->ne + GGML_MAX_DIMS, storage.ne) || storage.ne[GGML_MAX_DIMS] != 1) {
        return fail(ErrorCode::ModelCorrupt, "Tensor \"" + name + "\" has shape " + shapeText(storage.ne) +
                                                 " in the file, but the architecture needs " +
                                                 shapeText(tensor->ne) + ".");
      }
      if (!convertible(storage.type, tensor->type)) {
        return fail(ErrorCode::ModelUnsupported, "Tensor \"" + name + "\" has type " +
                                                     ggml_type_name(storage.type) + ", which cannot become " +
                                                     ggml_type_name(tensor->type) + ".");
      }
    }
    return missing.empty() || fail(ErrorCode::ModelUnsupported, missingText(missing));
  }

 private:
  bool named_ = false;

  // The engine makes every kernel of a convolution an f16 tensor, and rounds what goes into it to that type
  // as well. Only before the tensors have memory.
  static void widenConvolutions(const std::map<std::string, ggml_tensor*>& all) {
    for (const auto& [name, tensor] : all) {
      if (tensor->type != GGML_TYPE_F16 || ggml_n_dims(tensor) < 3) continue;
      tensor->type = GGML_TYPE_F32;
      tensor->nb[0] = sizeof(float);
      for (size_t axis = 1; axis < GGML_MAX_DIMS; ++axis)
        tensor->nb[axis] = tensor->nb[axis - 1] * static_cast<size_t>(tensor->ne[axis - 1]);
    }
  }

  // Files need not have what is left out; what they have of it is remembered by name.
  std::map<std::string, ggml_tensor*> withoutLeftOut(const std::map<std::string, ggml_tensor*>& all) {
    const auto begins = [](const std::string& name, std::initializer_list<const char*> prefixes) {
      return std::any_of(prefixes.begin(), prefixes.end(),
                         [&](const char* prefix) { return starts_with(name, prefix); });
    };
    std::map<std::string, ggml_tensor*> wanted;
    for (const auto& entry : all) {
      const auto& [name, tensor] = entry;
      const bool leftOut =
          (active->leftOut.textEncoder && begins(name, {"cond_stage_model.", "text_encoders."})) ||
          (active->leftOut.vae && begins(name, {"first_stage_model.", "tae."}));
      if (!leftOut) wanted.insert(entry);
      if (leftOut && get_tensor_storage_map().count(name) > 0)
        active->sources->leftOut[name] = {name, ggml_type_name(tensor->type), shapeOf(tensor)};
    }
    return wanted;
  }

  // The engine itself does without these.
  static bool optional(const std::string& name) {
    return name.find("cond_stage_model.transformer.text_model.encoder.layers.23") != std::string::npos ||
           name.find("alphas_cumprod") != std::string::npos;
  }

  bool allocated(const std::map<std::string, ggml_tensor*>& wanted) {
    const bool lacks = std::any_of(wanted.begin(), wanted.end(), [](const auto& entry) {
      return entry.second->data == nullptr && entry.second->buffer == nullptr;
    });
    return !lacks ||
           fail(ErrorCode::OutOfMemory, "The memory for the model's weights could not be allocated.");
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

  // Each reader thread holds the largest tensor it converts, in the file's type.
  uint64_t readBufferBytes(const std::map<std::string, ggml_tensor*>& wanted, int threads) {
    uint64_t largest = 0;
    for (const auto& [name, storage] : get_tensor_storage_map()) {
      const auto found = wanted.find(name);
      if (found == wanted.end()) continue;
      const bool direct = storage.type == found->second->type && !storage.is_f64 && !storage.is_i64;
      if (!direct)
        largest = std::max<uint64_t>(largest, std::max(storage.nbytes(), storage.nbytes_to_read()));
    }
    return largest * static_cast<uint64_t>(std::max(1, threads));
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
