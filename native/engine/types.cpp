#include "types.h"

#include <cstdlib>

namespace nd {

void FreeDeleter::operator()(void* pointer) const noexcept {
  std::free(pointer);  // NOLINT(*-owning-memory): the engine allocates with malloc
}

Image allocateImage(uint32_t width, uint32_t height, uint32_t channels) {
  Image image{width, height, channels, nullptr};
  image.data.reset(
      static_cast<uint8_t*>(std::malloc(image.bytes())));  // NOLINT(*-owning-memory): as the engine does
  return image;
}

const char* errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::Aborted:
      return "ERR_ABORTED";
    case ErrorCode::BackendUnavailable:
      return "ERR_BACKEND_UNAVAILABLE";
    case ErrorCode::DeviceLost:
      return "ERR_DEVICE_LOST";
    case ErrorCode::Disposed:
      return "ERR_DISPOSED";
    case ErrorCode::Engine:
      return "ERR_ENGINE";
    case ErrorCode::InvalidOption:
      return "ERR_INVALID_OPTION";
    case ErrorCode::ModelChanged:
      return "ERR_MODEL_CHANGED";
    case ErrorCode::InvalidPrompt:
      return "ERR_INVALID_PROMPT";
    case ErrorCode::ModelCorrupt:
      return "ERR_MODEL_CORRUPT";
    case ErrorCode::ModelNotFound:
      return "ERR_MODEL_NOT_FOUND";
    case ErrorCode::ModelUnsupported:
      return "ERR_MODEL_UNSUPPORTED";
    case ErrorCode::OutOfMemory:
      return "ERR_OUT_OF_MEMORY";
  }
  return "ERR_ENGINE";
}

}  // namespace nd
