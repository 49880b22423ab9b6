#include "async_job.h"

#include "values.h"

namespace nd::addon {

void callJs(Napi::Env env, Napi::Function /*unused*/, JsSide* side, JsCall* call) {
  const std::unique_ptr<JsCall> owned(call);
  if (static_cast<napi_env>(env) == nullptr || side == nullptr) return;  // the environment is closing
  const Napi::HandleScope scope(env);
  (*owned)(env, *side);
}

Napi::Error makeError(Napi::Env env, ErrorCode code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, errorCodeName(code)));
  return error;
}

AsyncJob::AsyncJob(Napi::Env env, std::shared_ptr<Host> host, const Napi::Value& onEvent,
                   const Napi::Object& keepAlive)
    : promise_(Napi::Promise::Deferred::New(env).Promise()) {
  auto side = std::make_unique<JsSide>(env);
  promise_ = side->deferred.Promise();
  side->host = std::move(host);
  if (onEvent.IsFunction()) {
    side->onEvent = Napi::Persistent(onEvent.As<Napi::Function>());
    hasListener_ = true;
  }
  if (!keepAlive.IsEmpty()) side->keepAlive = Napi::Persistent(keepAlive);
  JsSide* context = side.release();  // NOLINT(*-owning-memory): taken back by the finalizer, on the JS thread
  channel_ = JsChannel::New(
      env, "node-diffusion job", 0, 1, context,
      [](Napi::Env /*env*/, void* /*data*/, JsSide* finished) {
        const std::unique_ptr<JsSide> owned(finished);
      },
      static_cast<void*>(nullptr));
}

Napi::Object AsyncJob::handle(Napi::Env env, const std::shared_ptr<AsyncJob>& self) const {
  Napi::Object object = Napi::Object::New(env);
  object.Set("promise", promise_);
  object.Set("cancel", Napi::Function::New(
                           env, [self](const Napi::CallbackInfo&) { self->cancel(); }, "cancel"));
  object.Set("id", static_cast<double>(id()));
  object.Set("activity", Napi::Function::New(
                             env,
                             [self](const Napi::CallbackInfo& info) {
                               return Napi::Number::New(info.Env(), static_cast<double>(self->activity()));
                             },
                             "activity"));
  return object;
}

void AsyncJob::send(JsCall call) {
  if (closed_) return;
  auto owned = std::make_unique<JsCall>(std::move(call));
  const napi_status status = channel_.NonBlockingCall(owned.get());
  if (status == napi_ok) {
    static_cast<void>(owned.release());  // callJs takes it
  } else if (status == napi_closing) {
    closed_ = true;  // Node has released our hold already: the channel must not be touched again
  }
}

void AsyncJob::finish(JsCall call) {
  send(std::move(call));
  if (closed_) return;
  closed_ = true;
  channel_.Release();
}

void AsyncJob::onProgress(const Progress& progress) {
  if (!hasListener_ || cancelled()) return;
  send([progress](Napi::Env env, JsSide& side) { side.onEvent.Call({toJs(env, progress)}); });
}

void AsyncJob::onPreview(int step, Image image) {
  if (!hasListener_ || cancelled()) return;
  auto shared = std::make_shared<Image>(std::move(image));
  send([shared, step](Napi::Env env, JsSide& side) {
    Napi::Object event = Napi::Object::New(env);
    event.Set("type", "preview");
    event.Set("step", step);
    event.Set("image", toJs(env, std::move(*shared)));
    side.onEvent.Call({event});
  });
}

void AsyncJob::onCompilation(const Compilation& compilation) {
  if (!hasListener_) return;
  send([compilation](Napi::Env env, JsSide& side) { side.onEvent.Call({toJs(env, compilation)}); });
}

void AsyncJob::resolve(std::function<Napi::Value(Napi::Env)> value) {
  finish([value = std::move(value)](Napi::Env env, JsSide& side) {
    try {
      side.deferred.Resolve(value(env));
    } catch (const Napi::Error& error) {
      side.deferred.Reject(error.Value());
    }
  });
}

void AsyncJob::reject(ErrorCode code, const std::string& message) {
  finish([code, message](Napi::Env env, JsSide& side) {
    side.deferred.Reject(makeError(env, code, message).Value());
  });
}

}  // namespace nd::addon
