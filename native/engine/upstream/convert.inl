// Between our plain values and the engine's. The engine's tensors list the fastest axis first, ours last; the
// bytes are the same.

namespace nd::upstream {

inline sd::Tensor<float> toEngine(const Tensor& tensor) {
  return {std::vector<int64_t>(tensor.shape.rbegin(), tensor.shape.rend()), tensor.data};
}

inline sd::Tensor<float> toEngine(const std::optional<Tensor>& tensor) {
  return tensor ? toEngine(*tensor) : sd::Tensor<float>();
}

inline Tensor fromEngine(const sd::Tensor<float>& tensor) {
  return {std::vector<int64_t>(tensor.shape().rbegin(), tensor.shape().rend()), tensor.values()};
}

// [width, height, channels, 1], 0..1; the engine does not write to the pixels.
inline sd::Tensor<float> toEngine(const Image& image) {
  return sd_image_to_tensor({image.width, image.height, image.channels, image.data.get()}, -1, -1, true);
}

inline Image takeImage(const sd_image_t& source) {
  Image image;
  image.width = source.width;
  image.height = source.height;
  image.channels = source.channel;
  image.data.reset(source.data);
  return image;
}

inline sd_tiling_params_t toEngine(const Tiling& tiling) {
  return {tiling.enabled, tiling.tileSizeX, tiling.tileSizeY, tiling.overlap, 0.0F, 0.0F};
}

template <typename Enum>
Enum fromName(const char* field, const std::string& name, Enum (*parse)(const char*), Enum none) {
  if (name.empty()) return none;
  const Enum value = parse(name.c_str());
  if (value == none) {
    throw EngineError(ErrorCode::InvalidOption, std::string("Unknown ") + field + " \"" + name + "\".");
  }
  return value;
}

// Runs one engine operation for a job: thread-local routing, cancellation before and after, engine errors as
// ours. What a device said goes before what the engine made of it.
template <typename Operation>
auto runOperation(ActiveJob& activeJob, const char* what, Operation&& operation) {
  const ActiveJobScope scope(activeJob);
  activeJob.job.throwIfCancelled();
  takeDeviceFailure();
  try {
    if constexpr (std::is_void_v<decltype(operation())>) {
      operation();
      throwDeviceFailure(activeJob.deviceFailure);
    } else {
      auto result = operation();
      throwDeviceFailure(activeJob.deviceFailure);
      return result;
    }
  } catch (const EngineError& error) {
    if (error.code() != ErrorCode::Aborted) throwDeviceFailure(activeJob.deviceFailure);
    throw;
  } catch (const std::bad_alloc&) {
    throwDeviceFailure(activeJob.deviceFailure);
    throw EngineError(ErrorCode::OutOfMemory, std::string("Not enough memory to ") + what + ".");
  } catch (const std::exception& error) {
    throwDeviceFailure(activeJob.deviceFailure);
    throw EngineError(ErrorCode::Engine, std::string("The engine failed to ") + what + ": " + error.what());
  }
}

// For an operation that came back empty: cancelled, or failed with what the engine logged.
[[noreturn]] inline void throwEmpty(const Job& job, const char* what) {
  job.throwIfCancelled();
  const std::string why = takeErrorLines();
  if (active != nullptr && !active->memory.refusal.empty())
    throw EngineError(ErrorCode::OutOfMemory, active->memory.refusal + ".");
  const bool memory = why.find("alloc") != std::string::npos;
  throw EngineError(memory ? ErrorCode::OutOfMemory : ErrorCode::Engine,
                    std::string("The engine failed to ") + what + (why.empty() ? "." : ": " + why + "."));
}

inline void report(Job& job, Phase phase, int step, int total) {
  Progress progress;
  progress.phase = phase;
  progress.step = step;
  progress.total = total;
  job.onProgress(progress);
}

}  // namespace nd::upstream
