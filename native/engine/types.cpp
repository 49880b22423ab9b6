#include "types.h"

namespace nd {

const char* errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::Aborted:
      return "ERR_ABORTED";
    case ErrorCode::BackendUnavailable:
      return "ERR_BACKEND_UNAVAILABLE";
    case ErrorCode::Disposed:
      return "ERR_DISPOSED";
    case ErrorCode::Engine:
      return "ERR_ENGINE";
    case ErrorCode::InvalidOption:
      return "ERR_INVALID_OPTION";
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
