// Log lines to JavaScript: each environment may have one logger; the engine has one sink for the process,
// which passes a line to every environment that listens for its level.
#pragma once

#include <napi.h>

namespace nd::addon {

Napi::Value setLogger(const Napi::CallbackInfo& info);
void removeLogger(const void* environment);

}  // namespace nd::addon
