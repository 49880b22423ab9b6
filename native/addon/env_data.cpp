#include "env_data.h"

#include "logger.h"
#include "runtime.h"

namespace nd::addon {

namespace {

// process.exit runs no cleanup hooks, and in a C exit handler it is too late to stop threads: what they made
// lazily is destroyed before any handler that was registered earlier. The `exit` event comes before all of
// that.
void stopOnProcessExit(Napi::Env env, EnvData* data) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject()) return;
  const Napi::Value once = process.As<Napi::Object>().Get("prependOnceListener");
  if (!once.IsFunction()) return;
  const auto listener = Napi::Function::New(
      env,
      [data](const Napi::CallbackInfo&) {
        removeLogger(data);
        shutdownHosts(data);
        stopBackendThreads();
      },
      "stopNodeDiffusion");
  once.As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), listener});
}

}  // namespace

EnvData::EnvData(Napi::Env env) {
  stopOnProcessExit(env, this);
  // Runs before objects are finalised: threads must not call into an environment that is going.
  env.AddCleanupHook([this] {
    removeLogger(this);
    shutdownHosts(this);
    stopBackendThreads();
  });
}

EnvData::~EnvData() = default;

}  // namespace nd::addon
