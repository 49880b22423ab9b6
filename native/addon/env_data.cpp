#include "env_data.h"

#include <memory>
#include <vector>

#include "logger.h"
#include "runtime.h"

namespace nd::addon {

namespace {

// Threads of backends work for all environments; one that has no models leaves them alone.
void stopThreads(EnvData* data) {
  removeLogger(data);
  if (shutdownHosts(data)) stopBackendThreads();
}

// Programs that call process.reallyExit themselves have no `exit` event. Where the function is not to be
// replaced it stays.
void stopOnReallyExit(Napi::Env env, Napi::Object process, EnvData* data) {
  const Napi::Value given = process.Get("reallyExit");
  if (!given.IsFunction()) return;
  const auto original =
      std::make_shared<Napi::FunctionReference>(Napi::Persistent(given.As<Napi::Function>()));
  original->SuppressDestruct();
  const auto reallyExit = [data, original](const Napi::CallbackInfo& info) {
    stopThreads(data);
    std::vector<napi_value> arguments;
    for (size_t i = 0; i < info.Length(); ++i) arguments.push_back(info[i]);
    return original->Call(info.This(), arguments);
  };
  try {
    process.Set("reallyExit", Napi::Function::New(env, reallyExit, "reallyExit"));
  } catch (const Napi::Error&) {
  }
}

// process.exit runs no cleanup hooks, and in a C exit handler it is too late to stop threads: what they made
// lazily (OpenVINO's passes while they compile) is destroyed before any handler that was registered earlier.
// The `exit` event comes before all of that.
void stopOnProcessExit(Napi::Env env, EnvData* data) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject()) return;
  const auto object = process.As<Napi::Object>();
  const Napi::Value once = object.Get("prependOnceListener");
  if (!once.IsFunction()) return;
  const auto listener = Napi::Function::New(
      env, [data](const Napi::CallbackInfo&) { stopThreads(data); }, "stopNodeDiffusion");
  once.As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), listener});
  stopOnReallyExit(env, object, data);
}

}  // namespace

EnvData::EnvData(Napi::Env env) {
  stopOnProcessExit(env, this);
  // Runs before objects are finalised: threads must not call into an environment that is going.
  env.AddCleanupHook([this] { stopThreads(this); });
}

EnvData::~EnvData() = default;

}  // namespace nd::addon
