// Our check and then the engine's readers: what the check lets pass must do the readers no harm.
#include "input_file.h"
#include "upstream.h"

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  nd::installCallbacks();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const nd::fuzz::InputFile file(data, size);
  nd::ModelFiles files;
  files.checkpoint = file.path();
  try {
    nd::inspect(files);
  } catch (const nd::EngineError&) {
  }
  return 0;
}
