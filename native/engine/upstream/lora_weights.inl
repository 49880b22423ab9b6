// The weights of a loaded model as native/engine/lora sees them: in memory, and in the files they came from.

// Functions of the engine's model.cpp that no header declares; the load used them, so a second reading gives
// the same bytes.
void convert_tensor(void* src, ggml_type src_type, void* dst, ggml_type dst_type, int nrows, int n_per_row);
void f8_e4m3_to_f16_vec(uint8_t* src, uint16_t* dst, int64_t n);
void f8_e5m2_to_f16_vec(uint8_t* src, uint16_t* dst, int64_t n);
void f64_to_f32_vec(double* src, float* dst, int64_t n);
void i64_to_i32_vec(int64_t* src, int32_t* dst, int64_t n);

namespace nd {
namespace upstream {

// An entry of a PyTorch archive, whole; the last one stays, since a tensor is asked for in parts.
inline const std::vector<uint8_t>& zipEntry(const SourceFile& file, int index) {
  thread_local std::pair<std::string, int> last{"", -1};
  thread_local std::vector<uint8_t> bytes;
  if (last == std::make_pair(file.path(), index)) return bytes;
  last.second = -1;
  zip_t* zip = zip_open(file.path().c_str(), 0, 'r');
  if (zip == nullptr) file.throwChanged();
  const bool found = zip_entry_openbyindex(zip, static_cast<size_t>(index)) == 0;
  if (found) bytes.resize(zip_entry_size(zip));
  const bool read = found && zip_entry_noallocread(zip, bytes.data(), bytes.size()) >= 0;
  if (found) zip_entry_close(zip);
  zip_close(zip);
  if (!read) file.throwChanged();
  last = {file.path(), index};
  return bytes;
}

class EngineTensor : public lora::TensorAccess {
 public:
  // `file`: the Sources' own, which live longer.
  EngineTensor(ggml_tensor* tensor, const TensorStorage& storage, SourceFile& file, bool isViewed)
      : tensor_(tensor), storage_(storage), file_(file), isViewed_(isViewed) {
    const bool isHost = tensor_->buffer == nullptr || ggml_backend_buffer_is_host(tensor_->buffer);
    if (isHost) home_ = static_cast<uint8_t*>(tensor_->data);
  }

  ggml_type type() const override { return tensor_->type; }
  std::vector<int64_t> shape() const override { return shapeOf(tensor_); }
  uint8_t* host() override { return home_; }
  // A graph takes the address of a weight when it is built, which is anew for every evaluation.
  bool canShow() const noexcept override { return home_ != nullptr && !isViewed_; }
  void show(uint8_t* bytes) noexcept override { tensor_->data = bytes != nullptr ? bytes : home_; }
  void read(size_t offset, size_t bytes, uint8_t* to) override {
    if (uint8_t* from = host()) {
      std::memcpy(to, from + offset, bytes);
      return;
    }
    const std::lock_guard<std::mutex> lock(device_);
    ggml_backend_tensor_get(tensor_, to, offset, bytes);
    throwDeviceFailure();
  }
  void write(size_t offset, size_t bytes, const uint8_t* from) override {
    if (uint8_t* to = host()) {
      std::memcpy(to + offset, from, bytes);
      return;
    }
    const std::lock_guard<std::mutex> lock(device_);
    ggml_backend_tensor_set(tensor_, from, offset, bytes);
    throwDeviceFailure();
  }

  void readOriginal(size_t element, size_t elements, uint8_t* to) override {
    const bool same = storage_.type == tensor_->type;
    const bool widens = storage_.is_f8_e4m3 || storage_.is_f8_e5m2 || storage_.is_f64 || storage_.is_i64;
    if (same && !widens) {
      readStored(element, elements, to);
      return;
    }
    thread_local std::vector<uint8_t> buffer;
    buffer.resize(std::max(
        storedBytes(element + elements) - storedBytes(element),
        elements * ggml_type_size(storage_.type) / static_cast<size_t>(ggml_blck_size(storage_.type))));
    readStored(element, elements, buffer.data());
    const auto count = static_cast<int64_t>(elements);
    auto* raw = buffer.data();
    if (storage_.is_f8_e4m3) f8_e4m3_to_f16_vec(raw, reinterpret_cast<uint16_t*>(raw), count);
    if (storage_.is_f8_e5m2) f8_e5m2_to_f16_vec(raw, reinterpret_cast<uint16_t*>(raw), count);
    if (storage_.is_f64) f64_to_f32_vec(reinterpret_cast<double*>(raw), reinterpret_cast<float*>(raw), count);
    if (storage_.is_i64)
      i64_to_i32_vec(reinterpret_cast<int64_t*>(raw), reinterpret_cast<int32_t*>(raw), count);
    const int64_t width = count % storage_.ne[0] == 0 ? storage_.ne[0] : count;
    convert_tensor(raw, storage_.type, to, tensor_->type, static_cast<int>(count / width),
                   static_cast<int>(width));
  }

  std::unique_ptr<TensorAccess> duplicate() override;

 private:
  // Bytes on disk of the first `elements`.
  size_t storedBytes(size_t elements) const {
    const size_t plain =
        elements * ggml_type_size(storage_.type) / static_cast<size_t>(ggml_blck_size(storage_.type));
    if (storage_.is_f8_e4m3 || storage_.is_f8_e5m2) return plain / 2;
    return storage_.is_f64 || storage_.is_i64 ? plain * 2 : plain;
  }
  void readStored(size_t element, size_t elements, uint8_t* to) const {
    const size_t from = storedBytes(element);
    const size_t bytes = storedBytes(element + elements) - from;
    if (storage_.index_in_zip < 0) {
      file_.read(storage_.offset + from, bytes, to);
      return;
    }
    const std::vector<uint8_t>& entry = zipEntry(file_, storage_.index_in_zip);
    const bool isEntry = entry.size() == storedBytes(static_cast<size_t>(storage_.nelements()));
    const size_t at = (isEntry ? 0 : static_cast<size_t>(storage_.offset)) + from;
    if (at + bytes > entry.size()) file_.throwChanged();
    std::memcpy(to, entry.data() + at, bytes);
  }

  ggml_tensor* tensor_;
  TensorStorage storage_;
  SourceFile& file_;
  bool isViewed_;  // another tensor of the model has its address
  uint8_t* home_ = nullptr;
  std::mutex device_;
};

// A copy in a buffer of its own.
class DeviceCopy : public lora::TensorAccess {
 public:
  explicit DeviceCopy(ggml_tensor* source) {
    context_.reset(ggml_init({ggml_tensor_overhead() * 2, nullptr, true}));
    if (!context_) throw EngineError(ErrorCode::OutOfMemory, "No memory for a backup.");
    copy_ = ggml_dup_tensor(context_.get(), source);
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(),
                                                           ggml_backend_buffer_get_type(source->buffer)));
    if (!buffer_) throw EngineError(ErrorCode::OutOfMemory, "No memory on the device for a backup.");
    ggml_backend_tensor_copy(source, copy_);
    throwDeviceFailure();
  }
  ggml_type type() const override { return copy_->type; }
  std::vector<int64_t> shape() const override { return {ggml_nelements(copy_)}; }
  uint8_t* host() override { return nullptr; }
  bool canShow() const noexcept override { return false; }
  void show(uint8_t* /*bytes*/) noexcept override {}
  void read(size_t offset, size_t bytes, uint8_t* to) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ggml_backend_tensor_get(copy_, to, offset, bytes);
    throwDeviceFailure();
  }
  void write(size_t /*offset*/, size_t /*bytes*/, const uint8_t* /*from*/) override {}
  void readOriginal(size_t /*element*/, size_t /*elements*/, uint8_t* /*to*/) override {}
  std::unique_ptr<TensorAccess> duplicate() override { return nullptr; }

 private:
  struct FreeContext {
    void operator()(ggml_context* context) const noexcept { ggml_free(context); }
  };
  struct FreeBuffer {
    void operator()(ggml_backend_buffer* buffer) const noexcept { ggml_backend_buffer_free(buffer); }
  };
  std::unique_ptr<ggml_context, FreeContext> context_;
  std::unique_ptr<ggml_backend_buffer, FreeBuffer> buffer_;
  ggml_tensor* copy_ = nullptr;
  std::mutex mutex_;
};

inline std::unique_ptr<lora::TensorAccess> EngineTensor::duplicate() {
  if (host() != nullptr) return nullptr;
  return std::make_unique<DeviceCopy>(tensor_);
}

// Whatever an operation opened is closed at its end, so that files can be replaced and removed between them.
class ClosesFiles {
 public:
  explicit ClosesFiles(Sources& sources) : sources_(sources) {}
  ~ClosesFiles() {
    for (SourceFile& file : sources_.opened) file.close();
  }
  ClosesFiles(const ClosesFiles&) = delete;
  ClosesFiles& operator=(const ClosesFiles&) = delete;

 private:
  Sources& sources_;
};

// Tensors that the files had; others of the engine's list are not weights, or hold nothing.
inline lora::Weights& weightsOf(StableDiffusionGGML& sd, const std::shared_ptr<Sources>& sources,
                                std::unique_ptr<lora::Weights>& weights) {
  if (weights) return *weights;
  std::unordered_set<const ggml_tensor*> viewed;
  for (const auto& [name, tensor] : sd.tensors) {
    if (tensor->view_src == nullptr) continue;
    viewed.insert(tensor);
    viewed.insert(tensor->view_src);
  }
  if (sources->opened.empty())
    for (const std::string& path : sources->files) sources->opened.emplace_back(path);
  std::unordered_map<std::string, std::unique_ptr<lora::TensorAccess>> tensors;
  for (const auto& [name, storage] : sources->tensors) {
    const auto found = sd.tensors.find(name);
    if (found == sd.tensors.end()) continue;
    tensors[name] = std::make_unique<EngineTensor>(
        found->second, storage, sources->opened.at(storage.file_index), viewed.count(found->second) != 0);
  }
  weights = std::make_unique<lora::Weights>(std::move(tensors), sd.n_threads);
  return *weights;
}

}  // namespace upstream

std::vector<TensorHeader> Model::tensors() {
  std::vector<TensorHeader> list;
  for (const auto& [name, tensor] : upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).tensors())
    list.push_back({name, ggml_type_name(tensor->type()), tensor->shape()});
  for (const auto& [name, header] : impl_->sources->leftOut) list.push_back(header);
  return list;
}

std::vector<std::string> Model::convertNames(const std::vector<std::string>& names) {
  static std::mutex mutex;  // the engine fills its tables on first use
  const std::lock_guard<std::mutex> lock(mutex);
  std::vector<std::string> converted;
  converted.reserve(names.size());
  for (const std::string& name : names) {
    const std::string full = convert_tensor_name("lora." + name, impl_->sd.version);
    converted.push_back(starts_with(full, "lora.") ? full.substr(5) : full);
  }
  return converted;
}

lora::WeightsResult Model::applyWeights(const lora::WeightsPlan& plan, Job& job) {
  upstream::ActiveJob active{job, Phase::Lora};
  return upstream::runOperation(active, "change the weights", [&] {
    const upstream::ClosesFiles closes(*impl_->sources);
    return upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).apply(plan, job);
  });
}

std::vector<lora::TensorDigest> Model::weightsDigest(Job& job) {
  upstream::ActiveJob active{job, Phase::Lora};
  return upstream::runOperation(active, "hash the weights", [&] {
    return upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).digest(job);
  });
}

std::vector<uint8_t> Model::readTensor(const std::string& name) {
  return upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).read(name);
}

uint64_t Model::releaseBackups(bool fromFile) {
  const upstream::ClosesFiles closes(*impl_->sources);
  return upstream::weightsOf(impl_->sd, impl_->sources, impl_->weights).releaseBackups(fromFile);
}

}  // namespace nd
