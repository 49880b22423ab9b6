#include "async_job.h"
#include "dispose.h"
#include "reader.h"
#include "values.h"
#include "wraps.h"

namespace nd::addon {

Napi::Function UpscalerWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeUpscaler",
      {InstanceMethod<&UpscalerWrap::upscale>("upscale"), InstanceMethod<&UpscalerWrap::dispose>("dispose")});
}

UpscalerWrap::UpscalerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Napi::Value UpscalerWrap::make(Napi::Env env, const std::shared_ptr<UpscalerHost>& host) {
  Napi::Object object = EnvData::of(env).upscaler.New({});
  Unwrap(object)->host_ = host;
  object.Set("scale", host->object->scale());
  return object;
}

Napi::Value UpscalerWrap::upscale(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (host_ == nullptr || disposed_) throw makeError(env, ErrorCode::Disposed, "The upscaler is disposed.");
  auto image = std::make_shared<Image>(Reader::imageOf(info[0], "image"));
  if (image->channels != 3) throw makeError(env, ErrorCode::InvalidOption, "\"image\" must have 3 channels.");
  UpscalerHost* host = host_.get();
  return startJob(
      env, host_, info[1], info.This().As<Napi::Object>(),
      [host, image](Job& job) { return host->object->upscale(*image, job); },
      [](Napi::Env e, Image&& result) { return toJs(e, std::move(result)); });
}

Napi::Value UpscalerWrap::dispose(const Napi::CallbackInfo& info) {
  return disposeHost(info, host_, disposed_, [](UpscalerHost& host) { host.object.reset(); });
}

}  // namespace nd::addon
