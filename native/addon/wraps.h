// JavaScript classes of the addon: Model, Upscaler, Conditioning (lib/native/contract.ts). Constructed by
// native code only. A wrap object holds its host; a running job holds the wrap object, so neither is
// collected under it.
#pragma once

#include <napi.h>

#include <memory>

#include "env_data.h"
#include "heap.h"
#include "upstream.h"

namespace nd::addon {

// A host whose object was not disposed of, e.g. that of a thread that was terminated, frees it here, after
// the thread that used it has ended, and gives its pages back as dispose() does.
template <typename Object>
struct ObjectHost : Host {
  ~ObjectHost() override {
    shutdown();
    if (object == nullptr) return;
    object.reset();
    trimHeap();
  }
  std::unique_ptr<Object> object;
};

using ModelHost = ObjectHost<Model>;
using UpscalerHost = ObjectHost<Upscaler>;

class ModelWrap : public Napi::ObjectWrap<ModelWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, const std::shared_ptr<ModelHost>& host);
  explicit ModelWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value encodePrompt(const Napi::CallbackInfo& info);
  Napi::Value countTokens(const Napi::CallbackInfo& info);
  Napi::Value sigmas(const Napi::CallbackInfo& info);
  Napi::Value noise(const Napi::CallbackInfo& info);
  Napi::Value sample(const Napi::CallbackInfo& info);
  Napi::Value encodeImages(const Napi::CallbackInfo& info);
  Napi::Value decodeLatent(const Napi::CallbackInfo& info);
  Napi::Value tensors(const Napi::CallbackInfo& info);
  Napi::Value convertNames(const Napi::CallbackInfo& info);
  Napi::Value applyWeights(const Napi::CallbackInfo& info);
  Napi::Value applyRuntime(const Napi::CallbackInfo& info);
  Napi::Value weightsDigest(const Napi::CallbackInfo& info);
  Napi::Value readTensor(const Napi::CallbackInfo& info);
  Napi::Value weightsMemory(const Napi::CallbackInfo& info);
  Napi::Value releaseBackups(const Napi::CallbackInfo& info);
  Napi::Value releaseCompiled(const Napi::CallbackInfo& info);
  Napi::Value measure(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  // Before anything is read: an object that JavaScript constructed by hand has no model and no facts.
  void requireLive(Napi::Env env) const;
  template <typename Work, typename Convert>
  Napi::Value start(const Napi::CallbackInfo& info, Work work, Convert convert);

  std::shared_ptr<ModelHost> host_;
  ModelInfo facts_;  // copied: the model itself belongs to its thread
  bool disposed_ = false;
};

class UpscalerWrap : public Napi::ObjectWrap<UpscalerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, const std::shared_ptr<UpscalerHost>& host);
  explicit UpscalerWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value upscale(const Napi::CallbackInfo& info);
  Napi::Value measure(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<UpscalerHost> host_;
  bool disposed_ = false;
};

class ConditioningWrap : public Napi::ObjectWrap<ConditioningWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::shared_ptr<const Conditioning> conditioning);
  // Null for null and undefined where `optional`; anything else must be a live Conditioning of this addon.
  static std::shared_ptr<const Conditioning> unwrap(const Napi::Value& value, const char* name,
                                                    bool optional);
  explicit ConditioningWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  void Finalize(Napi::BasicEnv env) override;

 private:
  Napi::Value context(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void release(Napi::BasicEnv env);

  std::shared_ptr<const Conditioning> conditioning_;
};

}  // namespace nd::addon
