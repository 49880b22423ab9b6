// Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py; the set is that of the engine's
// pickle_io.cpp.
#include "pickle.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

namespace nd::model_file {
namespace {

constexpr uint64_t valueBytes = 512;  // of the engine's PickleValue, about
constexpr uint64_t maxCopied = uint64_t{2} << 30;
constexpr uint32_t maxDepth = 64;

struct Value {
  bool mark = false;
  uint32_t depth = 1;
  uint64_t bytes = valueBytes;
};

class Walker {
 public:
  Walker(const uint8_t* buffer, size_t size, size_t begin) : buffer_(buffer), size_(size), at_(begin) {}

  PickleResult run() {
    if (!proto()) return {at_, "it is no pickle of protocol 2 to 5"};
    while (fault_.empty()) {
      if (at_ >= size_) return {at_, "the pickle has no end"};
      const uint8_t opcode = buffer_[at_++];
      if (opcode == '.') {
        if (stack_.empty()) fail("the pickle ends with nothing on its stack");
        return {at_, fault_};
      }
      step(opcode);
    }
    return {at_, fault_};
  }

 private:
  bool proto() {
    if (size_ - at_ < 2 || buffer_[at_] != 0x80 || buffer_[at_ + 1] < 2 || buffer_[at_ + 1] > 5) return false;
    at_ += 2;
    return true;
  }
  void fail(const char* why) {
    if (fault_.empty()) fault_ = std::string(why) + " (at byte " + std::to_string(at_) + " of the pickle)";
  }
  bool has(uint64_t count) {
    if (count <= size_ - at_) return true;
    fail("the pickle ends inside a value");
    return false;
  }
  uint64_t number(unsigned bytes) {
    if (!has(bytes)) return 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(buffer_[at_ + i]) << (8 * i);
    at_ += bytes;
    return value;
  }
  void skip(uint64_t count) {
    if (has(count)) at_ += count;
  }
  uint64_t line() {
    const void* end = size_ > at_ ? std::memchr(buffer_ + at_, '\n', size_ - at_) : nullptr;
    if (end == nullptr) {
      fail("the pickle ends inside a line");
      return 0;
    }
    const auto length = static_cast<uint64_t>(static_cast<const uint8_t*>(end) - (buffer_ + at_));
    at_ += length + 1;
    return length;
  }
  void push(const Value& value) {
    copied_ += value.bytes;
    if (copied_ > maxCopied) fail("the pickle repeats its values without measure");
    if (value.depth > maxDepth) fail("the pickle is nested too deeply");
    stack_.push_back(value);
  }
  void pushText(uint64_t length) {
    skip(length);
    push({false, 1, valueBytes + length});
  }
  Value pop() {
    if (stack_.empty()) {
      fail("the pickle takes from an empty stack");
      return {};
    }
    const Value value = stack_.back();
    stack_.pop_back();
    return value;
  }
  // Everything above the topmost mark as one value, mark removed.
  Value popMarked() {
    Value whole;
    while (!stack_.empty() && !stack_.back().mark) {
      whole.bytes += stack_.back().bytes;
      whole.depth = std::max(whole.depth, stack_.back().depth + 1);
      stack_.pop_back();
    }
    pop();
    return whole;
  }
  void popInto(unsigned count) {
    Value whole;
    for (unsigned i = 0; i < count; ++i) {
      const Value item = pop();
      whole.bytes += item.bytes;
      whole.depth = std::max(whole.depth, item.depth + 1);
    }
    push(whole);
  }
  void addToTop(const Value& added) {
    Value target = pop();
    target.bytes += added.bytes;
    target.depth = std::max(target.depth, added.depth + 1);
    push(target);
  }
  void store(uint64_t index) {
    const Value value = pop();
    push(value);
    memo_[static_cast<int32_t>(index)] = value;
  }
  void recall(uint64_t index) {
    const auto found = memo_.find(static_cast<int32_t>(index));
    if (found == memo_.end())
      fail("the pickle recalls what was never stored");
    else
      push(found->second);
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case '}':
      case ']':
      case ')':
      case 'N':
      case 0x88:
      case 0x89:
      case 0x8F:
        return push({});
      case '(':
        return push({true, 1, valueBytes});
      case 'K':
        skip(1);
        return push({});
      case 'M':
        skip(2);
        return push({});
      case 'J':
        skip(4);
        return push({});
      case 'G':
        skip(8);
        return push({});
      case 'I':
      case 'L':
      case 'F':
        line();
        return push({});
      case 'S':
      case 'V': {
        const uint64_t length = line();
        return push({false, 1, valueBytes + length});
      }
      case 'c': {
        const uint64_t length = line() + line();
        return push({false, 1, valueBytes + length});
      }
      case 0x8A:
      case 'C':
      case 'U':
      case 0x8C:
        return pushText(number(1));
      case 'B':
      case 'T':
      case 'X':
        return pushText(number(4));
      case 0x8D:
      case 0x8E:
      case 0x96:
        return pushText(number(8));
      case 0x95:
        return skip(8);
      case 'q':
        return store(number(1));
      case 'r':
        return store(number(4));
      case 0x94:
        return store(memo_.size());
      case 'h':
        return recall(number(1));
      case 'j':
        return recall(number(4));
      case '0':
        pop();
        return;
      case '1':
        popMarked();
        return;
      case '2': {
        const Value value = pop();
        push(value);
        return push(value);
      }
      case 0x85:
        return popInto(1);
      case 0x86:
      case 0x93:
        return popInto(2);
      case 0x87:
        return popInto(3);
      case 'Q':
        return popInto(1);
      case 'R':
        return popInto(2);
      case 'b':
        pop();
        return;
      case 't':
      case 'l':
      case 0x91:
        return push(popMarked());
      case 'u':
      case 'e':
      case 0x90:
        return addToTop(popMarked());
      case 's': {
        popInto(2);
        const Value item = pop();
        return addToTop(item);
      }
      case 'a':
        return addToTop(pop());
      default:
        return fail("the pickle has an opcode that state dictionaries do not have");
    }
  }

  const uint8_t* buffer_;
  size_t size_;
  size_t at_;
  uint64_t copied_ = 0;
  std::string fault_;
  std::vector<Value> stack_;
  std::unordered_map<int32_t, Value> memo_;
};

}  // namespace

PickleResult walkPickle(const uint8_t* buffer, size_t size, size_t begin) {
  if (begin >= size) return {begin, "the file ends where a pickle should begin"};
  return Walker(buffer, size, begin).run();
}

}  // namespace nd::model_file
