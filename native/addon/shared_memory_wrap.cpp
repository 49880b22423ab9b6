#include <cmath>
#include <cstring>

#include "async_job.h"
#include "env_data.h"
#include "shared_memory.h"

namespace nd::addon {
namespace {

constexpr double maxBytes = 1ULL << 40U;

size_t wholeNumber(const Napi::CallbackInfo& info, size_t argument, const char* name) {
  const double value = info[argument].IsNumber() ? info[argument].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 0 && value <= maxBytes) || value != std::floor(value)) {
    throw makeError(info.Env(), ErrorCode::InvalidOption,
                    std::string("\"") + name + "\" must be a whole number that is not negative.");
  }
  return static_cast<size_t>(value);
}

Napi::Uint8Array bytesOf(const Napi::CallbackInfo& info) {
  const Napi::Value value = info[1];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw makeError(info.Env(), ErrorCode::InvalidOption, "The second argument must be a Uint8Array.");
  }
  return value.As<Napi::Uint8Array>();
}

}  // namespace

Napi::Function SharedMemoryWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeSharedMemory",
      {InstanceMethod<&SharedMemoryWrap::write>("write"), InstanceMethod<&SharedMemoryWrap::read>("read"),
       InstanceMethod<&SharedMemoryWrap::trim>("trim"), InstanceMethod<&SharedMemoryWrap::close>("close")});
}

Napi::Value SharedMemoryWrap::make(Napi::Env env, std::unique_ptr<SharedMemory> memory) {
  if (!memory) return env.Null();
  Napi::Object object = EnvData::of(env).sharedMemory.New({});
  object.Set("fd", memory->descriptor());
  object.Set("bytes", static_cast<double>(memory->bytes().size()));
  Unwrap(object)->memory_ = std::move(memory);
  return object;
}

Napi::Value SharedMemoryWrap::create(const Napi::CallbackInfo& info) {
  return make(info.Env(), SharedMemory::create(wholeNumber(info, 0, "bytes")));
}

Napi::Value SharedMemoryWrap::open(const Napi::CallbackInfo& info) {
  const auto descriptor = static_cast<int>(wholeNumber(info, 0, "fd"));
  const size_t bytes = wholeNumber(info, 1, "bytes");
  return make(info.Env(), SharedMemory::open(descriptor, bytes));
}

std::span<uint8_t> SharedMemoryWrap::range(const Napi::CallbackInfo& info, size_t length) const {
  const size_t offset = wholeNumber(info, 0, "offset");
  if (!memory_) throw makeError(info.Env(), ErrorCode::Disposed, "The shared memory is closed.");
  const std::span<uint8_t> all = memory_->bytes();
  if (offset > all.size() || length > all.size() - offset) {
    throw makeError(info.Env(), ErrorCode::InvalidOption,
                    "The range goes past the end of the shared memory.");
  }
  return all.subspan(offset, length);
}

void SharedMemoryWrap::write(const Napi::CallbackInfo& info) {
  const Napi::Uint8Array source = bytesOf(info);
  const std::span<uint8_t> target = range(info, source.ByteLength());
  if (!target.empty()) std::memcpy(target.data(), source.Data(), target.size());
}

void SharedMemoryWrap::read(const Napi::CallbackInfo& info) {
  Napi::Uint8Array target = bytesOf(info);
  const std::span<uint8_t> source = range(info, target.ByteLength());
  if (!source.empty()) std::memcpy(target.Data(), source.data(), source.size());
}

void SharedMemoryWrap::trim(const Napi::CallbackInfo& info) {
  const size_t length = wholeNumber(info, 1, "length");
  static_cast<void>(range(info, length));
  memory_->trim(wholeNumber(info, 0, "offset"), length);
}

void SharedMemoryWrap::close(const Napi::CallbackInfo& /*info*/) { memory_.reset(); }

}  // namespace nd::addon
