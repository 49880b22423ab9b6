// Our check of model files: any input passes or throws an EngineError.
#include "input_file.h"
#include "model_file/check.h"
#include "types.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const nd::fuzz::InputFile file(data, size);
  try {
    nd::checkModelFile(file.path());
  } catch (const nd::EngineError&) {
  }
  return 0;
}
