// Reads the plain option objects of lib/native/contract.ts. Wrong types and shapes throw a JavaScript error
// with code ERR_INVALID_OPTION that names the field; friendlier checks were made in TypeScript before. JS
// thread only.
#pragma once

#include <napi.h>

#include <string>

#include "lora/spec.h"
#include "types.h"

namespace nd::addon {

class Reader {
 public:
  explicit Reader(const Napi::Value& value, std::string name = "options");

  std::string text(const char* key) const;  // missing: empty
  double number(const char* key, double low, double high) const;
  int integer(const char* key, int low, int high) const;
  float real(const char* key) const;  // may be NaN
  bool flag(const char* key) const;
  int64_t seed(const char* key) const;
  bool has(const char* key) const;  // present, and neither null nor undefined
  Reader object(const char* key) const;
  Napi::Value value(const char* key) const;
  Napi::Array array(const char* key) const;
  Image image(const char* key) const;
  Tensor tensor(const char* key) const;
  std::optional<Tensor> optionalTensor(const char* key) const;
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

  static Image imageOf(const Napi::Value& value, const std::string& name);
  static Tensor tensorOf(const Napi::Value& value, const std::string& name);

 private:
  Napi::Object object_;
  std::string name_;
};

LoadOptions readLoadOptions(const Napi::Value& value);
ModelFiles readModelFiles(const Napi::Value& value);
UpscalerOptions readUpscalerOptions(const Napi::Value& value);
UpscaleParams readUpscale(const Napi::Value& value);
UpscaleSize readUpscaleSize(const Napi::Value& value);
std::vector<UpscaleSize> readUpscaleSizes(const Napi::Array& array);
std::string readCountTokens(const Napi::Value& value);
EncodePromptParams readEncodePrompt(const Napi::Value& value);
SigmaParams readSigmas(const Napi::Value& value);
NoiseParams readNoise(const Napi::Value& value, const ModelInfo& info);
EncodeImageParams readEncodeImages(const Napi::Value& value, const ModelInfo& info);
DecodeParams readDecode(const Napi::Value& value, const ModelInfo& info);
lora::WeightsPlan readWeightsPlan(const Napi::Value& value);
std::vector<std::string> readNames(const Napi::Value& value);
ReleaseParams readRelease(const Napi::Value& value);
MeasureParams readMeasure(const Napi::Value& value, const ModelInfo& info);
// Conditionings are unwrapped by the caller.
SampleParams readSample(const Napi::Value& value, const ModelInfo& info);

}  // namespace nd::addon
