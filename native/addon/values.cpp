#include "values.h"

#include <algorithm>

namespace nd::addon {
namespace {

const char* phaseName(Phase phase) {
  switch (phase) {
    case Phase::Load:
      return "load";
    case Phase::Lora:
      return "lora";
    case Phase::Encode:
      return "encode";
    case Phase::Sample:
      return "sample";
    case Phase::Decode:
      return "decode";
    case Phase::Tile:
      return "tile";
    case Phase::Upscale:
      return "upscale";
  }
  return "load";
}

template <typename Item, typename Convert>
Napi::Array arrayOf(Napi::Env env, const std::vector<Item>& items, Convert convert) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (size_t i = 0; i < items.size(); ++i) array.Set(static_cast<uint32_t>(i), convert(items[i]));
  return array;
}

Napi::Number number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Array componentsToJs(Napi::Env env, const std::vector<Component>& components) {
  return arrayOf(env, components, [&](const Component& part) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", part.name);
    entry.Set("bytes", number(env, part.bytes));
    entry.Set("tensors", number(env, part.tensors));
    entry.Set("device", part.device);
    return entry;
  });
}

}  // namespace

Napi::Array shapeToJs(Napi::Env env, const std::vector<int64_t>& shape) {
  return arrayOf(env, shape, [&](int64_t size) { return Napi::Number::New(env, static_cast<double>(size)); });
}

Napi::Value toJs(Napi::Env env, const Progress& progress) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("type", "progress");
  object.Set("phase", phaseName(progress.phase));
  object.Set("step", progress.step);
  object.Set("total", progress.total);
  object.Set("secondsPerStep", progress.secondsPerStep);
  object.Set("bytes", number(env, progress.bytes));
  object.Set("totalBytes", number(env, progress.totalBytes));
  return object;
}

Napi::Value toJs(Napi::Env env, const Compilation& compilation) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("type", "compile");
  object.Set("component", compilation.component);
  object.Set("reason", compilation.reason);
  object.Set("nodes", compilation.nodes);
  object.Set("ms", compilation.ms);
  object.Set("bytes", number(env, compilation.bytes));
  object.Set("graph", number(env, compilation.graph));
  object.Set("signature", number(env, compilation.signature));
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<KeptGraph>& graphs) {
  Napi::Array array = Napi::Array::New(env, graphs.size());
  for (size_t i = 0; i < graphs.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("graph", number(env, graphs[i].graph));
    entry.Set("signature", number(env, graphs[i].signature));
    entry.Set("bytes", number(env, graphs[i].bytes));
    array.Set(static_cast<uint32_t>(i), entry);
  }
  return array;
}

Napi::Value toJs(Napi::Env env, Image&& image) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("width", image.width);
  object.Set("height", image.height);
  object.Set("channels", image.channels);
  const size_t bytes = image.bytes();
  uint8_t* data = image.data.release();
  object.Set("data", Napi::Buffer<uint8_t>::NewOrCopy(env, data, bytes, [](Napi::BasicEnv, uint8_t* owned) {
               const MallocBytes freed(owned);
             }));
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value toJs(Napi::Env env, const Tensor& tensor) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("shape", shapeToJs(env, tensor.shape));
  object.Set("data", toJs(env, tensor.data));
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<std::string>& list) {
  return arrayOf(env, list, [&](const std::string& text) { return Napi::String::New(env, text); });
}

Napi::Value toJs(Napi::Env env, const ModelInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("architecture", info.architecture);
  object.Set("latentChannels", info.latentChannels);
  object.Set("concatChannels", info.concatChannels);
  object.Set("scaleFactor", info.scaleFactor);
  object.Set("sizeMultiple", info.sizeMultiple);
  object.Set("defaultSampler", info.defaultSampler);
  object.Set("defaultSchedule", info.defaultSchedule);
  object.Set("prediction", info.prediction);
  object.Set("isInpaint", info.isInpaint);
  object.Set("isEdit", info.isEdit);
  object.Set("isControl", info.isControl);
  object.Set("isDit", info.isDit);
  object.Set("isVideo", info.isVideo);
  object.Set("isSdxl", info.isSdxl);
  object.Set("hasControlNet", info.hasControlNet);
  object.Set("usesTaesd", info.usesTaesd);
  object.Set("canEncodeImages", info.canEncodeImages);
  object.Set("tensors", number(env, info.tensors));
  object.Set("components", componentsToJs(env, info.components));
  return object;
}

Napi::Value toJs(Napi::Env env, const GraphMemory& memory) {
  Napi::Object entry = Napi::Object::New(env);
  entry.Set("graph", number(env, memory.graph));
  entry.Set("work", number(env, memory.work));
  Napi::Array compiled = Napi::Array::New(env, memory.compiled.size());
  uint32_t index = 0;
  for (const auto& [signature, bytes] : memory.compiled) {
    Napi::Object graph = Napi::Object::New(env);
    graph.Set("signature", number(env, signature));
    graph.Set("bytes", number(env, bytes));
    compiled.Set(index++, graph);
  }
  entry.Set("compiled", compiled);
  return entry;
}

Napi::Value toJs(Napi::Env env, const UpscalerMemory& memory) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("scale", memory.facts.scale);
  object.Set("bytes", number(env, memory.facts.bytes));
  object.Set("device", memory.facts.device);
  object.Set("readBuffers", number(env, memory.facts.readBuffers));
  Napi::Array jobs = Napi::Array::New(env, memory.jobs.size());
  for (size_t i = 0; i < memory.jobs.size(); ++i)
    jobs.Set(static_cast<uint32_t>(i), toJs(env, memory.jobs[i]));
  object.Set("jobs", jobs);
  return object;
}

Napi::Value toJs(Napi::Env env, const JobMemory& memory) {
  const auto stage = [&](const GraphMemory& bytes) { return toJs(env, bytes); };
  Napi::Object object = Napi::Object::New(env);
  object.Set("textEncoder", stage(memory.textEncoder));
  object.Set("diffusion", stage(memory.diffusion));
  object.Set("preview", stage(memory.preview));
  object.Set("vaeEncode", stage(memory.vaeEncode));
  object.Set("vaeDecode", stage(memory.vaeDecode));
  return object;
}

Napi::Value toJs(Napi::Env env, const LoadMemory& memory) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("components", componentsToJs(env, memory.components));
  object.Set("readBuffers", number(env, memory.readBuffers));
  object.Set("mapped", number(env, memory.mapped));
  object.Set("info", toJs(env, memory.info));
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<TensorHeader>& tensors) {
  Napi::Array array = Napi::Array::New(env, tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", tensors[i].name);
    entry.Set("type", tensors[i].type);
    entry.Set("shape", shapeToJs(env, tensors[i].shape));
    array.Set(static_cast<uint32_t>(i), entry);
  }
  return array;
}

Napi::Value toJs(Napi::Env env, const lora::WeightsResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("merged", static_cast<double>(result.merged));
  object.Set("restored", static_cast<double>(result.restored));
  object.Set("copied", static_cast<double>(result.copied));
  object.Set("bytes", static_cast<double>(result.bytes));
  object.Set("seconds", result.seconds);
  return object;
}

Napi::Value toJs(Napi::Env env, const lora::WeightsMemory& memory) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("ramBackup", static_cast<double>(memory.ramBackup));
  object.Set("deviceBackup", static_cast<double>(memory.deviceBackup));
  object.Set("cache", static_cast<double>(memory.cache));
  object.Set("loraFiles", static_cast<double>(memory.loraFiles));
  object.Set("changedTensors", static_cast<double>(memory.changedTensors));
  Napi::Object compiled = Napi::Object::New(env);
  for (const auto& [component, bytes] : memory.compiled) compiled.Set(component, static_cast<double>(bytes));
  object.Set("compiled", compiled);
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<lora::TensorDigest>& digests) {
  Napi::Array array = Napi::Array::New(env, digests.size());
  for (size_t i = 0; i < digests.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", digests[i].name);
    entry.Set("type", digests[i].type);
    entry.Set("shape", shapeToJs(env, digests[i].shape));
    entry.Set("sha256", digests[i].sha256);
    array.Set(static_cast<uint32_t>(i), entry);
  }
  return array;
}

Napi::Value toJs(Napi::Env env, const Inspection& inspection) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("architecture", inspection.architecture);
  object.Set("tensors", arrayOf(env, inspection.tensors, [&](const TensorHeader& tensor) {
               Napi::Object entry = Napi::Object::New(env);
               entry.Set("name", tensor.name);
               entry.Set("type", tensor.type);
               entry.Set("shape", shapeToJs(env, tensor.shape));
               return entry;
             }));
  return object;
}

Napi::Value toJs(Napi::Env env, const std::vector<TokenCount>& counts) {
  return arrayOf(env, counts, [&](const TokenCount& count) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("encoder", count.encoder);
    entry.Set("tokens", number(env, count.tokens));
    entry.Set("chunks", number(env, count.chunks));
    entry.Set("chunkTokens", number(env, count.chunkTokens));
    entry.Set("limit", number(env, count.limit));
    entry.Set("cut", count.cut);
    return entry;
  });
}

Napi::Value toJs(Napi::Env env, const std::vector<BackendReport>& reports) {
  return arrayOf(env, reports, [&](const BackendReport& report) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("file", report.file);
    entry.Set("loaded", report.loaded);
    entry.Set("reason", report.reason);
    return entry;
  });
}

Napi::Value toJs(Napi::Env env, const std::vector<Device>& devices) {
  return arrayOf(env, devices, [&](const Device& device) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", device.name);
    entry.Set("description", device.description);
    entry.Set("type", device.type);
    entry.Set("backend", device.backend);
    entry.Set("memoryFree", number(env, device.memoryFree));
    entry.Set("memoryTotal", number(env, device.memoryTotal));
    return entry;
  });
}

Napi::Value toJs(Napi::Env env, const Versions& versions) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("engine", versions.engine);
  object.Set("engineCommit", versions.engineCommit);
  object.Set("ggml", versions.ggml);
  object.Set("ggmlCommit", versions.ggmlCommit);
  object.Set("compiler", versions.compiler);
  object.Set("napi", NAPI_VERSION);
  return object;
}

Napi::Value toJs(Napi::Env env, const NameTables& tables) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("samplers", toJs(env, tables.samplers));
  object.Set("schedules", toJs(env, tables.schedules));
  object.Set("rngs", toJs(env, tables.rngs));
  object.Set("predictions", toJs(env, tables.predictions));
  object.Set("previews", toJs(env, tables.previews));
  object.Set("weightTypes", toJs(env, tables.weightTypes));
  object.Set("architectures", toJs(env, tables.architectures));
  return object;
}

}  // namespace nd::addon
