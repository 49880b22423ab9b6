// Values of the engine as JavaScript values (lib/native/contract.ts). JS thread only.
#pragma once

#include <napi.h>

#include "runtime.h"
#include "types.h"
#include "upstream.h"

namespace nd::addon {

Napi::Value toJs(Napi::Env env, const Progress& progress);
Napi::Value toJs(Napi::Env env, const Compilation& compilation);
Napi::Value toJs(Napi::Env env, const std::vector<KeptGraph>& graphs);
// Zero-copy where the runtime allows external buffers, else a copy; either way the memory is freed once.
Napi::Value toJs(Napi::Env env, Image&& image);
Napi::Value toJs(Napi::Env env, const Tensor& tensor);
Napi::Value toJs(Napi::Env env, const std::vector<float>& values);
Napi::Value toJs(Napi::Env env, const std::vector<std::string>& list);
Napi::Value toJs(Napi::Env env, const ModelInfo& info);
Napi::Value toJs(Napi::Env env, const std::vector<TensorHeader>& tensors);
Napi::Value toJs(Napi::Env env, const lora::WeightsResult& result);
Napi::Value toJs(Napi::Env env, const lora::WeightsMemory& memory);
Napi::Value toJs(Napi::Env env, const std::vector<lora::TensorDigest>& digests);
Napi::Value toJs(Napi::Env env, const GraphMemory& memory);
Napi::Value toJs(Napi::Env env, const UpscalerMemory& memory);
Napi::Value toJs(Napi::Env env, const JobMemory& memory);
Napi::Value toJs(Napi::Env env, const LoadMemory& memory);
Napi::Value toJs(Napi::Env env, const Inspection& inspection);
Napi::Value toJs(Napi::Env env, const std::vector<TokenCount>& counts);
Napi::Value toJs(Napi::Env env, const std::vector<BackendReport>& reports);
Napi::Value toJs(Napi::Env env, const std::vector<Device>& devices);
Napi::Value toJs(Napi::Env env, const Versions& versions);
Napi::Value toJs(Napi::Env env, const NameTables& tables);
Napi::Array shapeToJs(Napi::Env env, const std::vector<int64_t>& shape);

}  // namespace nd::addon
