#include "logger.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "async_job.h"
#include "env_data.h"
#include "log.h"
#include "reader.h"

namespace nd::addon {
namespace {

constexpr std::array<const char*, 4> levelNames{"debug", "info", "warn", "error"};

struct Line {
  LogLevel level;
  std::string text;
  uint64_t job;
};

void callLogger(Napi::Env env, Napi::Function logger, std::nullptr_t* /*context*/, Line* line) {
  const std::unique_ptr<Line> owned(line);
  if (static_cast<napi_env>(env) == nullptr || logger.IsEmpty()) return;
  logger.Call({Napi::String::New(env, levelNames.at(static_cast<size_t>(owned->level))),
               Napi::String::New(env, owned->text), Napi::Number::New(env, static_cast<double>(owned->job))});
}
using Channel = Napi::TypedThreadSafeFunction<std::nullptr_t, Line, callLogger>;

struct Listener {
  LogLevel minimum;
  Channel channel;
};

struct Listeners {
  std::mutex mutex;
  std::map<const void*, Listener> byEnvironment;
};

Listeners& listeners() {
  static Listeners& instance = *std::make_unique<Listeners>().release();  // outlives every thread
  return instance;
}

void dispatch(LogLevel level, const std::string& text, uint64_t job) {
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  for (auto& [environment, listener] : all.byEnvironment) {
    if (level < listener.minimum) continue;
    auto line = std::make_unique<Line>(Line{level, text, job});
    if (listener.channel.NonBlockingCall(line.get()) == napi_ok) static_cast<void>(line.release());
  }
}

// Called with the mutex held.
void updateSink(const Listeners& all) {
  if (all.byEnvironment.empty()) return setLogSink(LogLevel::Error, {});
  LogLevel minimum = LogLevel::Error;
  for (const auto& [environment, listener] : all.byEnvironment) minimum = std::min(minimum, listener.minimum);
  setLogSink(minimum, dispatch);
}

}  // namespace

void removeLogger(const void* environment) {
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  const auto found = all.byEnvironment.find(environment);
  if (found == all.byEnvironment.end()) return;
  found->second.channel.Release();
  all.byEnvironment.erase(found);
  updateSink(all);
}

Napi::Value setLogger(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  const auto level = std::find(levelNames.begin(), levelNames.end(), name);
  if (level == levelNames.end()) {
    throw makeError(env, ErrorCode::InvalidOption, "The log level must be debug, info, warn or error.");
  }
  const EnvData* environment = &EnvData::of(env);
  removeLogger(environment);
  if (!info[1].IsFunction()) return env.Undefined();
  auto channel = Channel::New(env, info[1].As<Napi::Function>(), "node-diffusion log", 0, 1);
  channel.Unref(env);  // logging never keeps the process alive
  Listeners& all = listeners();
  const std::lock_guard lock(all.mutex);
  all.byEnvironment.emplace(environment,
                            Listener{static_cast<LogLevel>(level - levelNames.begin()), channel});
  updateSink(all);
  return env.Undefined();
}

}  // namespace nd::addon
