#include "async_job.h"
#include "values.h"
#include "wraps.h"

namespace nd::addon {
namespace {

// Tells wrap objects of this class from other objects, so that a foreign value is an error and not a crash.
constexpr napi_type_tag conditioningTag{0x6e6f64652d646966ULL, 0x636f6e646974696fULL};

}  // namespace

Napi::Function ConditioningWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeConditioning",
                     {InstanceMethod<&ConditioningWrap::context>("context"),
                      InstanceMethod<&ConditioningWrap::dispose>("dispose")});
}

Napi::Value ConditioningWrap::make(Napi::Env env, std::shared_ptr<const Conditioning> conditioning) {
  Napi::Object object = EnvData::of(env).conditioning.New({});
  object.TypeTag(&conditioningTag);
  object.Set("bytes", static_cast<double>(conditioning->bytes()));
  object.Set("shape", shapeToJs(env, conditioning->shape()));
  // V8 sees only the small wrap object; told of the native bytes it collects in time.
  Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(conditioning->bytes()));
  Unwrap(object)->conditioning_ = std::move(conditioning);
  return object;
}

std::shared_ptr<const Conditioning> ConditioningWrap::unwrap(const Napi::Value& value, const char* name,
                                                             bool optional) {
  if (optional && (value.IsNull() || value.IsUndefined())) return nullptr;
  std::shared_ptr<const Conditioning> found;
  if (value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&conditioningTag)) {
    found = Unwrap(value.As<Napi::Object>())->conditioning_;
  }
  if (!found) {
    throw makeError(value.Env(), ErrorCode::InvalidOption,
                    std::string("\"") + name + "\" must be a conditioning that is not disposed.");
  }
  return found;
}

void ConditioningWrap::release(Napi::BasicEnv env) {
  if (!conditioning_) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -static_cast<int64_t>(conditioning_->bytes()));
  conditioning_.reset();
}

Napi::Value ConditioningWrap::context(const Napi::CallbackInfo& info) {
  return toJs(info.Env(), unwrap(info.This(), "this", false)->context());
}

void ConditioningWrap::dispose(const Napi::CallbackInfo& info) { release(info.Env()); }

void ConditioningWrap::Finalize(Napi::BasicEnv env) { release(env); }

}  // namespace nd::addon
