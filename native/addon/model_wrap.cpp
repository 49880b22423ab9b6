#include "async_job.h"
#include "dispose.h"
#include "reader.h"
#include "values.h"
#include "wraps.h"

namespace nd::addon {

Napi::Function ModelWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeModel",
      {InstanceMethod<&ModelWrap::encodePrompt>("encodePrompt"),
       InstanceMethod<&ModelWrap::countTokens>("countTokens"), InstanceMethod<&ModelWrap::sigmas>("sigmas"),
       InstanceMethod<&ModelWrap::noise>("noise"), InstanceMethod<&ModelWrap::sample>("sample"),
       InstanceMethod<&ModelWrap::encodeImages>("encodeImages"),
       InstanceMethod<&ModelWrap::decodeLatent>("decodeLatent"),
       InstanceMethod<&ModelWrap::tensors>("tensors"),
       InstanceMethod<&ModelWrap::convertNames>("convertNames"),
       InstanceMethod<&ModelWrap::applyWeights>("applyWeights"),
       InstanceMethod<&ModelWrap::applyRuntime>("applyRuntime"),
       InstanceMethod<&ModelWrap::weightsDigest>("weightsDigest"),
       InstanceMethod<&ModelWrap::readTensor>("readTensor"),
       InstanceMethod<&ModelWrap::weightsMemory>("weightsMemory"),
       InstanceMethod<&ModelWrap::releaseBackups>("releaseBackups"),
       InstanceMethod<&ModelWrap::releaseCompiled>("releaseCompiled"),
       InstanceMethod<&ModelWrap::measure>("measure"), InstanceMethod<&ModelWrap::dispose>("dispose")});
}

ModelWrap::ModelWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Napi::Value ModelWrap::make(Napi::Env env, const std::shared_ptr<ModelHost>& host) {
  Napi::Object object = EnvData::of(env).model.New({});
  ModelWrap* wrap = Unwrap(object);
  wrap->host_ = host;
  wrap->facts_ = host->object->info();
  object.Set("info", toJs(env, wrap->facts_));
  return object;
}

void ModelWrap::requireLive(Napi::Env env) const {
  if (host_ == nullptr || disposed_) throw makeError(env, ErrorCode::Disposed, "The model is disposed.");
}

template <typename Work, typename Convert>
Napi::Value ModelWrap::start(const Napi::CallbackInfo& info, Work work, Convert convert) {
  ModelHost* host = host_.get();
  return startJob(
      info.Env(), host_, info[1], info.This().As<Napi::Object>(),
      [host, work = std::move(work)](Job& job) mutable { return work(*host->object, job); },
      std::move(convert));
}

Napi::Value ModelWrap::encodePrompt(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto params = std::make_shared<EncodePromptParams>(readEncodePrompt(info[0]));
  return start(
      info, [params](Model& model, Job& job) { return model.encodePrompt(*params, job); },
      [](Napi::Env env, std::shared_ptr<const Conditioning> value) {
        return ConditioningWrap::make(env, std::move(value));
      });
}

Napi::Value ModelWrap::countTokens(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const std::string prompt = readCountTokens(info[0]);
  return start(
      info, [prompt](Model& model, Job& job) { return model.countTokens(prompt, job); },
      [](Napi::Env env, const std::vector<TokenCount>& counts) { return toJs(env, counts); });
}

Napi::Value ModelWrap::sigmas(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const SigmaParams params = readSigmas(info[0]);
  return start(
      info, [params](Model& model, Job& /*job*/) { return model.sigmas(params); },
      [](Napi::Env env, const std::vector<float>& values) { return toJs(env, values); });
}

Napi::Value ModelWrap::noise(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const NoiseParams params = readNoise(info[0], facts_);
  return start(
      info, [params](Model& model, Job& /*job*/) { return model.noise(params); },
      [](Napi::Env env, const Tensor& noise) { return toJs(env, noise); });
}

Napi::Value ModelWrap::sample(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto params = std::make_shared<SampleParams>(readSample(info[0], facts_));
  const auto request = info[0].As<Napi::Object>();
  params->cond = ConditioningWrap::unwrap(request.Get("cond"), "cond", false);
  params->uncond = ConditioningWrap::unwrap(request.Get("uncond"), "uncond", true);
  return start(
      info, [params](Model& model, Job& job) { return model.sample(*params, job); },
      [](Napi::Env env, const Tensor& latent) { return toJs(env, latent); });
}

Napi::Value ModelWrap::encodeImages(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  if (!facts_.canEncodeImages) {
    throw makeError(info.Env(), ErrorCode::InvalidOption,
                    "The model was loaded with vaeDecodeOnly: it cannot encode images.");
  }
  auto params = std::make_shared<EncodeImageParams>(readEncodeImages(info[0], facts_));
  return start(
      info, [params](Model& model, Job& job) { return model.encodeImages(*params, job); },
      [](Napi::Env env, const std::vector<Tensor>& latents) {
        Napi::Array array = Napi::Array::New(env, latents.size());
        for (size_t i = 0; i < latents.size(); ++i)
          array.Set(static_cast<uint32_t>(i), toJs(env, latents[i]));
        return array;
      });
}

Napi::Value ModelWrap::decodeLatent(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto params = std::make_shared<DecodeParams>(readDecode(info[0], facts_));
  return start(
      info, [params](Model& model, Job& job) { return model.decodeLatent(*params, job); },
      [](Napi::Env env, Image&& image) { return toJs(env, std::move(image)); });
}

Napi::Value ModelWrap::tensors(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  return start(
      info, [](Model& model, Job& /*job*/) { return model.tensors(); },
      [](Napi::Env env, const std::vector<TensorHeader>& list) { return toJs(env, list); });
}

Napi::Value ModelWrap::convertNames(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const std::vector<std::string> names = readNames(info[0]);
  return start(
      info, [names](Model& model, Job& /*job*/) { return model.convertNames(names); },
      [](Napi::Env env, const std::vector<std::string>& list) { return toJs(env, list); });
}

Napi::Value ModelWrap::applyWeights(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto plan = std::make_shared<lora::WeightsPlan>(readWeightsPlan(info[0]));
  return start(
      info, [plan](Model& model, Job& job) { return model.applyWeights(*plan, job); },
      [](Napi::Env env, const lora::WeightsResult& result) { return toJs(env, result); });
}

Napi::Value ModelWrap::applyRuntime(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto plan = std::make_shared<lora::WeightsPlan>(readWeightsPlan(info[0]));
  return start(
      info, [plan](Model& model, Job& job) { return model.applyRuntime(*plan, job); },
      [](Napi::Env env, const lora::WeightsResult& result) { return toJs(env, result); });
}

Napi::Value ModelWrap::weightsDigest(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  return start(
      info, [](Model& model, Job& job) { return model.weightsDigest(job); },
      [](Napi::Env env, const std::vector<lora::TensorDigest>& digests) { return toJs(env, digests); });
}

Napi::Value ModelWrap::readTensor(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  if (!info[0].IsString())
    throw makeError(info.Env(), ErrorCode::InvalidOption, "\"name\" must be a string.");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return start(
      info, [name](Model& model, Job& /*job*/) { return model.readTensor(name); },
      [](Napi::Env env, const std::vector<uint8_t>& bytes) -> Napi::Value {
        Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
        std::copy(bytes.begin(), bytes.end(), array.Data());
        return array;
      });
}

Napi::Value ModelWrap::weightsMemory(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  return start(
      info, [](Model& model, Job& /*job*/) { return model.weightsMemory(); },
      [](Napi::Env env, const lora::WeightsMemory& memory) { return toJs(env, memory); });
}

Napi::Value ModelWrap::releaseBackups(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const bool fromFile = info[0].IsBoolean() && info[0].As<Napi::Boolean>();
  return start(
      info, [fromFile](Model& model, Job& /*job*/) { return model.releaseBackups(fromFile); },
      [](Napi::Env env, uint64_t bytes) -> Napi::Value {
        return Napi::Number::New(env, static_cast<double>(bytes));
      });
}

Napi::Value ModelWrap::releaseCompiled(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  const ReleaseParams params = readRelease(info[0]);
  return start(
      info, [params](Model& model, Job& /*job*/) { return model.releaseCompiled(params); },
      [](Napi::Env env, const std::vector<KeptGraph>& graphs) { return toJs(env, graphs); });
}

Napi::Value ModelWrap::measure(const Napi::CallbackInfo& info) {
  requireLive(info.Env());
  auto params = std::make_shared<MeasureParams>(readMeasure(info[0], facts_));
  if (!params->encode.empty() && !facts_.canEncodeImages) {
    throw makeError(info.Env(), ErrorCode::InvalidOption,
                    "The model was loaded with vaeDecodeOnly: it cannot encode images.");
  }
  return start(
      info, [params](Model& model, Job& job) { return model.measure(*params, job); },
      [](Napi::Env env, const JobMemory& memory) { return toJs(env, memory); });
}

Napi::Value ModelWrap::dispose(const Napi::CallbackInfo& info) {
  return disposeHost(info, host_, disposed_, [](ModelHost& host) { host.object.reset(); });
}

}  // namespace nd::addon
