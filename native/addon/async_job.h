// One asynchronous native operation as JavaScript sees it: `{ promise, cancel() }`.
//
// AsyncJob is shared by the native task and the `cancel` function. The JavaScript values of a job (deferred,
// event callback, what must stay alive) are in JsSide, which belongs to the thread-safe function and dies
// with it on the JS thread. Calls from the native thread never block; once the environment closes they stop.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <type_traits>

#include "host.h"
#include "job.h"
#include "log.h"

namespace nd::addon {

struct JsSide {
  explicit JsSide(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise::Deferred deferred;
  Napi::FunctionReference onEvent;  // may be empty
  Napi::ObjectReference keepAlive;  // the wrap object that the job works on; may be empty
  std::shared_ptr<Host> host;
};

using JsCall = std::function<void(Napi::Env, JsSide&)>;
void callJs(Napi::Env env, Napi::Function unused, JsSide* side, JsCall* call);
using JsChannel = Napi::TypedThreadSafeFunction<JsSide, JsCall, callJs>;

class AsyncJob : public Job {
 public:
  // `onEvent` may be null or undefined.
  AsyncJob(Napi::Env env, std::shared_ptr<Host> host, const Napi::Value& onEvent,
           const Napi::Object& keepAlive);

  Napi::Object handle(Napi::Env env, const std::shared_ptr<AsyncJob>& self) const;
  void onProgress(const Progress& progress) override;
  void onPreview(int step, Image image) override;
  void onCompilation(const Compilation& compilation) override;

  // Settles the promise and closes the channel; nothing reaches JavaScript afterwards.
  void resolve(std::function<Napi::Value(Napi::Env)> value);
  void reject(ErrorCode code, const std::string& message);

 private:
  void send(JsCall call);
  void finish(JsCall call);

  Napi::Promise promise_;
  JsChannel channel_;
  bool hasListener_ = false;
  bool closed_ = false;  // native thread only
};

Napi::Error makeError(Napi::Env env, ErrorCode code, const std::string& message);

// Runs `work(job)` on the host's thread and resolves with `convert(env, result)`.
template <typename Work, typename Convert>
Napi::Value startJob(Napi::Env env, const std::shared_ptr<Host>& host, const Napi::Value& onEvent,
                     const Napi::Object& keepAlive, Work work, Convert convert) {
  auto job = std::make_shared<AsyncJob>(env, host, onEvent, keepAlive);
  Napi::Object handle = job->handle(env, job);
  const bool posted = host->post(job, [job, work = std::move(work), convert = std::move(convert)]() mutable {
    using Result = std::invoke_result_t<Work, Job&>;
    const LogOwner owner(job->id());
    try {
      job->throwIfCancelled();
      auto result = std::make_shared<Result>(work(*job));
      job->resolve(
          [result, convert = std::move(convert)](Napi::Env e) { return convert(e, std::move(*result)); });
    } catch (const EngineError& error) {
      job->reject(error.code(), error.what());
    } catch (const std::bad_alloc&) {
      job->reject(ErrorCode::OutOfMemory, "Not enough memory.");
    } catch (const std::exception& error) {
      job->reject(ErrorCode::Engine, error.what());
    }
  });
  if (!posted) job->reject(ErrorCode::Disposed, "The model is disposed.");
  return handle;
}

}  // namespace nd::addon
