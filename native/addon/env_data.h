// State of one JavaScript environment (the main thread's or a worker thread's): constructors, the wrappers'
// way to their hosts, the log channel. Owner: the environment (instance data); dies with it. JS thread only.
#pragma once

#include <napi.h>

#include <memory>

#include "host.h"

namespace nd::addon {

class EnvData {
 public:
  explicit EnvData(Napi::Env env);
  ~EnvData();
  EnvData(const EnvData&) = delete;
  EnvData& operator=(const EnvData&) = delete;

  static EnvData& of(Napi::Env env) { return *env.GetInstanceData<EnvData>(); }

  template <typename HostType, typename... Arguments>
  std::shared_ptr<HostType> makeHost(Arguments&&... arguments) {
    auto host = std::make_shared<HostType>(std::forward<Arguments>(arguments)...);
    registerHost(host, this);
    return host;
  }

  Napi::FunctionReference model;
  Napi::FunctionReference upscaler;
  Napi::FunctionReference conditioning;
  Napi::FunctionReference sharedMemory;
};

}  // namespace nd::addon
