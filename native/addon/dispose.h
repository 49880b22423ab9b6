// dispose() of a wrap object: frees the native object on its own thread after what runs, then ends the
// thread.
#pragma once

#include <napi.h>

#include <memory>

#include "async_job.h"
#include "heap.h"

namespace nd::addon {

// Resolves with undefined; idempotent: later calls resolve when the thread has come to them, or at once if it
// has ended.
template <typename HostType, typename Free>
Napi::Value disposeHost(const Napi::CallbackInfo& info, const std::shared_ptr<HostType>& host, bool& disposed,
                        Free free) {
  const Napi::Env env = info.Env();
  if (host == nullptr || host->stopped()) {
    const auto done = Napi::Promise::Deferred::New(env);
    done.Resolve(env.Undefined());
    return done.Promise();
  }
  disposed = true;
  HostType* raw = host.get();
  const Napi::Value handle = startJob(
      env, host, env.Undefined(), info.This().As<Napi::Object>(),
      [raw, free](Job& /*job*/) {
        free(*raw);
        trimHeap();
        return true;
      },
      [host](Napi::Env e, bool /*done*/) {
        host->stop();
        return e.Undefined();
      });
  return handle.As<Napi::Object>().Get("promise");
}

}  // namespace nd::addon
