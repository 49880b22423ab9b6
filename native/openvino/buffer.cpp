#include "buffer.h"

#include <cstdlib>
#include <cstring>

#include "cache.h"
#include "device.h"
#include "unpack.h"

namespace nd::openvino {
namespace {

constexpr size_t kAlignment = 64;

struct BufferContext {
  std::shared_ptr<Block> block;
};

BufferContext& contextOf(ggml_backend_buffer_t buffer) {
  return *static_cast<BufferContext*>(buffer->context);
}

void freeBuffer(ggml_backend_buffer_t buffer) {
  const std::unique_ptr<BufferContext> context(&contextOf(buffer));
  ProgramCache::instance().forget(context->block.get());
}

void* baseOf(ggml_backend_buffer_t buffer) { return contextOf(buffer).block->base(); }

void memsetTensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, uint8_t value, size_t offset,
                  size_t size) {
  uint8_t* at = static_cast<uint8_t*>(tensor->data) + offset;
  std::memset(at, value, size);
  contextOf(buffer).block->changed(at, size);
}

void setTensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, const void* data, size_t offset,
               size_t size) {
  uint8_t* at = static_cast<uint8_t*>(tensor->data) + offset;
  std::memcpy(at, data, size);
  contextOf(buffer).block->changed(at, size);
}

void getTensor(ggml_backend_buffer_t /*buffer*/, const ggml_tensor* tensor, void* data, size_t offset,
               size_t size) {
  std::memcpy(data, static_cast<const uint8_t*>(tensor->data) + offset, size);
}

bool copyTensor(ggml_backend_buffer_t buffer, const ggml_tensor* from, ggml_tensor* to) {
  ggml_backend_buffer_t source = from->view_src != nullptr ? from->view_src->buffer : from->buffer;
  if (source == nullptr || (!ggml_backend_buffer_is_host(source) && !blockOf(source))) return false;
  std::memcpy(to->data, from->data, ggml_nbytes(from));
  contextOf(buffer).block->changed(to->data, ggml_nbytes(to));
  return true;
}

void clearBuffer(ggml_backend_buffer_t buffer, uint8_t value) {
  Block& block = *contextOf(buffer).block;
  std::memset(block.base(), value, block.bytes());
  block.changed(block.base(), block.bytes());
}

const char* typeName(ggml_backend_buffer_type_t /*type*/) { return "OpenVINO"; }

ggml_backend_buffer_t allocBuffer(ggml_backend_buffer_type_t type, size_t size) {
  constexpr ggml_backend_buffer_i interface {
    freeBuffer, baseOf, nullptr, memsetTensor, setTensor, getTensor, copyTensor, clearBuffer, nullptr
  };
  std::shared_ptr<Block> block = Block::make(size);
  if (!block) return nullptr;
  return ggml_backend_buffer_init(type, interface,
                                  std::make_unique<BufferContext>(BufferContext{block}).release(), size);
}

size_t alignment(ggml_backend_buffer_type_t /*type*/) { return kAlignment; }
bool isHost(ggml_backend_buffer_type_t /*type*/) { return false; }

}  // namespace

std::shared_ptr<Block> Block::make(size_t bytes) {
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
  // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the block owns it
  auto* base = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
  if (base == nullptr) return nullptr;
  return std::make_shared<Block>(Private{}, base, bytes);
}

Block::~Block() { std::free(base_); }  // NOLINT(cppcoreguidelines-owning-memory)

bool Block::holds(const void* from, size_t bytes) const {
  const auto* at = static_cast<const uint8_t*>(from);
  return at >= base_ && at + bytes <= base_ + bytes_;
}

Id Block::content(const void* from, size_t bytes) {
  const auto offset = static_cast<size_t>(static_cast<const uint8_t*>(from) - base_);
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(offset);
  if (found != known_.end() && found->second.bytes == bytes) return found->second.id;
  Hasher hasher;
  hasher.add(from, bytes);
  const Id id = hasher.finish();
  known_[offset] = {bytes, id};
  return id;
}

void Block::changed(const void* from, size_t bytes) {
  const auto offset = static_cast<size_t>(static_cast<const uint8_t*>(from) - base_);
  const std::lock_guard lock(mutex_);
  if (known_.empty()) return;
  auto at = known_.lower_bound(offset);
  if (at != known_.begin()) {
    const auto before = std::prev(at);
    if (before->first + before->second.bytes > offset) known_.erase(before);
  }
  while (at != known_.end() && at->first < offset + bytes) at = known_.erase(at);
}

std::shared_ptr<const float> Block::unpacked(const ggml_tensor* tensor) {
  const auto* from = static_cast<const uint8_t*>(tensor->data);
  if (tensor->type == GGML_TYPE_F32)
    return {std::shared_ptr<void>(), static_cast<const float*>(tensor->data)};
  const Id id = content(from, ggml_nbytes(tensor));
  const std::lock_guard lock(mutex_);
  Unpacked& known = unpacked_[static_cast<size_t>(from - base_)];
  std::shared_ptr<Values> values = known.values.lock();
  if (!values || known.id != id) {
    if (!values) values = std::make_shared<Values>(static_cast<size_t>(ggml_nelements(tensor)));
    unpack(tensor, values->data.get());
    known = {id, values};
  }
  return {values, values->data.get()};
}

uint64_t Block::unpackedBytes() {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [offset, copy] : unpacked_) {
    if (const auto values = copy.values.lock()) bytes += values->count * sizeof(float);
  }
  return bytes;
}

ggml_backend_buffer_type_t bufferType() {
  static ggml_backend_buffer_type type{
      {typeName, allocBuffer, alignment, nullptr, nullptr, isHost}, device(), nullptr};
  return &type;
}

std::shared_ptr<Block> blockOf(ggml_backend_buffer_t buffer) {
  if (buffer == nullptr || buffer->buft != bufferType() || buffer->iface.free_buffer != freeBuffer)
    return nullptr;
  return contextOf(buffer).block;
}

std::shared_ptr<Block> blockThatHolds(const ggml_tensor* weight) {
  auto block = blockOf(weight->view_src != nullptr ? weight->view_src->buffer : weight->buffer);
  return block && block->holds(weight->data, ggml_nbytes(weight)) ? block : nullptr;
}

}  // namespace nd::openvino
