// Exports of the addon (lib/native/contract.ts, NativeAddon).
#include <napi.h>

#include "async_job.h"
#include "cpu_features.h"
#include "crash.h"
#include "logger.h"
#include "reader.h"
#include "runtime.h"
#include "shared_memory.h"
#include "values.h"
#include "wraps.h"

namespace nd::addon {
namespace {

Napi::Value loadBackendsJs(const Napi::CallbackInfo& info) {
  if (!info[0].IsString())
    throw makeError(info.Env(), ErrorCode::InvalidOption, "\"directory\" must be a string.");
  const std::vector<std::string> skip =
      info[1].IsUndefined() ? std::vector<std::string>() : readNames(info[1]);
  return toJs(info.Env(), loadBackends(info[0].As<Napi::String>().Utf8Value(), skip));
}

Napi::Value describeBackendJs(const Napi::CallbackInfo& info) {
  if (!info[0].IsString())
    throw makeError(info.Env(), ErrorCode::InvalidOption, "\"name\" must be a string.");
  return Napi::String::New(info.Env(), describeBackend(info[0].As<Napi::String>().Utf8Value()));
}

Napi::Value devicesJs(const Napi::CallbackInfo& info) { return toJs(info.Env(), devices()); }

Napi::Value cpuFeaturesJs(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  for (const auto& [name, present] : cpuFeatures()) object.Set(name, present);
  return object;
}

void guardEngineProcessJs(const Napi::CallbackInfo& /*info*/) { guardEngineProcess(); }

void requireBackends(Napi::Env env) {
  if (!devices().empty()) return;
  throw makeError(env, ErrorCode::BackendUnavailable,
                  "No backend module is loaded: call loadBackends first.");
}

// On a thread of its own, which ends with the job.
Napi::Value inspectJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ModelFiles files = readModelFiles(info[0]);
  return startJob(
      env, EnvData::of(env).makeHost<Host>(), env.Undefined(), Napi::Object(),
      [files](Job& /*job*/) { return inspect(files); },
      [](Napi::Env e, const Inspection& inspection) { return toJs(e, inspection); });
}

Napi::Value measureLoadJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const LoadOptions options = readLoadOptions(info[0]);
  requireBackends(env);
  return startJob(
      env, EnvData::of(env).makeHost<Host>(), env.Undefined(), Napi::Object(),
      [options](Job& job) { return measureLoad(options, job); },
      [](Napi::Env e, const LoadMemory& memory) { return toJs(e, memory); });
}

// Sizes are checked when the model is known.
Napi::Value measureJobJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Reader reader(info[0]);
  const LoadOptions options = readLoadOptions(reader.value("load"));
  ModelInfo any;
  any.scaleFactor = any.sizeMultiple = 1;
  auto params = std::make_shared<MeasureParams>(readMeasure(reader.value("job"), any));
  requireBackends(env);
  return startJob(
      env, EnvData::of(env).makeHost<Host>(), env.Undefined(), Napi::Object(),
      [options, params](Job& job) { return Model::measureUnloaded(options, *params, job); },
      [](Napi::Env e, const JobMemory& memory) { return toJs(e, memory); });
}

Napi::Value loadModelJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const LoadOptions options = readLoadOptions(info[0]);
  requireBackends(env);
  auto host = EnvData::of(env).makeHost<ModelHost>();
  ModelHost* raw = host.get();
  const std::weak_ptr<ModelHost> weak = host;  // the job's JavaScript side keeps the host
  return startJob(
      env, host, info[1], Napi::Object(),
      [raw, options](Job& job) {
        raw->object = Model::load(options, job);
        return true;
      },
      [weak](Napi::Env e, bool /*loaded*/) { return ModelWrap::make(e, weak.lock()); });
}

Napi::Value loadUpscalerJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const UpscalerOptions options = readUpscalerOptions(info[0]);
  requireBackends(env);
  auto host = EnvData::of(env).makeHost<UpscalerHost>();
  UpscalerHost* raw = host.get();
  const std::weak_ptr<UpscalerHost> weak = host;
  return startJob(
      env, host, info[1], Napi::Object(),
      [raw, options](Job& job) {
        raw->object = Upscaler::load(options, job);
        return true;
      },
      [weak](Napi::Env e, bool /*loaded*/) { return UpscalerWrap::make(e, weak.lock()); });
}

Napi::Value measureUpscalerJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Reader reader(info[0]);
  const UpscalerOptions options = readUpscalerOptions(reader.value("load"));
  const std::vector<UpscaleSize> sizes = readUpscaleSizes(reader.array("sizes"));
  requireBackends(env);
  return startJob(
      env, EnvData::of(env).makeHost<Host>(), env.Undefined(), Napi::Object(),
      [options, sizes](Job& job) { return measureUpscaler(options, sizes, job); },
      [](Napi::Env e, const UpscalerMemory& memory) { return toJs(e, memory); });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto data = std::make_unique<EnvData>(env);
  data->model = Napi::Persistent(ModelWrap::define(env));
  data->upscaler = Napi::Persistent(UpscalerWrap::define(env));
  data->conditioning = Napi::Persistent(ConditioningWrap::define(env));
  data->sharedMemory = Napi::Persistent(SharedMemoryWrap::define(env));
  env.SetInstanceData(data.release());  // NOLINT(*-owning-memory): Node deletes it with the environment
  exports.Set("versions", toJs(env, versions()));
  exports.Set("tables", toJs(env, nameTables()));
  exports.Set("loadBackends", Napi::Function::New<loadBackendsJs>(env, "loadBackends"));
  exports.Set("describeBackend", Napi::Function::New<describeBackendJs>(env, "describeBackend"));
  exports.Set("devices", Napi::Function::New<devicesJs>(env, "devices"));
  exports.Set("cpuFeatures", Napi::Function::New<cpuFeaturesJs>(env, "cpuFeatures"));
  exports.Set("setLogger", Napi::Function::New<setLogger>(env, "setLogger"));
  exports.Set("inspect", Napi::Function::New<inspectJs>(env, "inspect"));
  exports.Set("measureLoad", Napi::Function::New<measureLoadJs>(env, "measureLoad"));
  exports.Set("measureJob", Napi::Function::New<measureJobJs>(env, "measureJob"));
  exports.Set("loadModel", Napi::Function::New<loadModelJs>(env, "loadModel"));
  exports.Set("loadUpscaler", Napi::Function::New<loadUpscalerJs>(env, "loadUpscaler"));
  exports.Set("measureUpscaler", Napi::Function::New<measureUpscalerJs>(env, "measureUpscaler"));
  exports.Set("createSharedMemory", Napi::Function::New<SharedMemoryWrap::create>(env, "createSharedMemory"));
  exports.Set("openSharedMemory", Napi::Function::New<SharedMemoryWrap::open>(env, "openSharedMemory"));
  exports.Set("guardEngineProcess", Napi::Function::New<guardEngineProcessJs>(env, "guardEngineProcess"));
  return exports;
}

}  // namespace

NODE_API_MODULE(node_diffusion, initialize)

}  // namespace nd::addon
