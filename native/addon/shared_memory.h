// Memory that two processes see: the one that starts the other makes it, the other inherits its descriptor.
// It has no name, so nothing is left behind whatever dies. Linux and macOS; elsewhere `create` gives nothing.
// Owner: the JavaScript wrap object; JS thread only. The descriptor and the mapping go with close() or with
// it. Bounds are checked here; who may write where is agreed on in lib/isolation.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace nd::addon {

class SharedMemory {
 public:
  // Null where the system has no such memory or refuses it. Pages take memory only once they are written.
  static std::unique_ptr<SharedMemory> create(size_t bytes);
  // Takes the descriptor over. Null when it cannot be mapped.
  static std::unique_ptr<SharedMemory> open(int descriptor, size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  int descriptor() const { return descriptor_; }
  std::span<uint8_t> bytes() const { return {data_, size_}; }
  // Gives whole pages of the range back to the system where it can (Linux); their content is lost.
  void trim(size_t offset, size_t length);

 private:
  SharedMemory(int descriptor, uint8_t* data, size_t size)
      : descriptor_(descriptor), data_(data), size_(size) {}

  int descriptor_;
  uint8_t* data_;
  size_t size_;
};

class SharedMemoryWrap : public Napi::ObjectWrap<SharedMemoryWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(const Napi::CallbackInfo& info);  // (bytes), null where there is none
  static Napi::Value open(const Napi::CallbackInfo& info);    // (descriptor, bytes)
  explicit SharedMemoryWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  static Napi::Value make(Napi::Env env, std::unique_ptr<SharedMemory> memory);

  void write(const Napi::CallbackInfo& info);  // (offset, bytes)
  void read(const Napi::CallbackInfo& info);   // (offset, into)
  void trim(const Napi::CallbackInfo& info);   // (offset, length)
  void close(const Napi::CallbackInfo& info);
  // The part of the memory that a call means.
  std::span<uint8_t> range(const Napi::CallbackInfo& info, size_t length) const;

  std::unique_ptr<SharedMemory> memory_;
};

}  // namespace nd::addon
