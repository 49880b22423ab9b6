#include "async_job.h"
#include "dispose.h"
#include "reader.h"
#include "values.h"
#include "wraps.h"

namespace nd::addon {

Napi::Function UpscalerWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeUpscaler",
      {InstanceMethod<&UpscalerWrap::upscale>("upscale"), InstanceMethod<&UpscalerWrap::measure>("measure"),
       InstanceMethod<&UpscalerWrap::dispose>("dispose")});
}

UpscalerWrap::UpscalerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Napi::Value UpscalerWrap::make(Napi::Env env, const std::shared_ptr<UpscalerHost>& host) {
  Napi::Object object = EnvData::of(env).upscaler.New({});
  Unwrap(object)->host_ = host;
  const UpscalerFacts& facts = host->object->facts();
  object.Set("scale", facts.scale);
  object.Set("bytes", static_cast<double>(facts.bytes));
  object.Set("device", facts.device);
  return object;
}

Napi::Value UpscalerWrap::upscale(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (host_ == nullptr || disposed_) throw makeError(env, ErrorCode::Disposed, "The upscaler is disposed.");
  auto params = std::make_shared<UpscaleParams>(readUpscale(info[0]));
  UpscalerHost* host = host_.get();
  return startJob(
      env, host_, info[1], info.This().As<Napi::Object>(),
      [host, params](Job& job) { return host->object->upscale(*params, job); },
      [](Napi::Env e, Image&& result) { return toJs(e, std::move(result)); });
}

Napi::Value UpscalerWrap::measure(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (host_ == nullptr || disposed_) throw makeError(env, ErrorCode::Disposed, "The upscaler is disposed.");
  const UpscaleSize size = readUpscaleSize(info[0]);
  UpscalerHost* host = host_.get();
  return startJob(
      env, host_, env.Undefined(), info.This().As<Napi::Object>(),
      [host, size](Job& job) { return host->object->measure(size, job); },
      [](Napi::Env e, const GraphMemory& memory) { return toJs(e, memory); });
}

Napi::Value UpscalerWrap::dispose(const Napi::CallbackInfo& info) {
  return disposeHost(info, host_, disposed_, [](UpscalerHost& host) { host.object.reset(); });
}

}  // namespace nd::addon
