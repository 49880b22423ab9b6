#include "env_data.h"

#include "logger.h"

namespace nd::addon {

EnvData::EnvData(Napi::Env env) {
  // Runs before objects are finalised: threads must not call into an environment that is going.
  env.AddCleanupHook([this] {
    removeLogger(this);
    shutdownHosts(this);
  });
}

EnvData::~EnvData() = default;

}  // namespace nd::addon
