#include "source.h"

#include <algorithm>
#include <filesystem>

namespace nd::model_file {
namespace {

constexpr uint64_t windowBytes = 65'536;

std::string shown(const std::string& path) { return "The model file \"" + path + "\" "; }

}  // namespace

Source::Source(std::string path) : path_(std::move(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  if (!std::filesystem::exists(status))
    throw EngineError(ErrorCode::ModelNotFound, shown(path_) + "does not exist.");
  // Opening a pipe would wait for ever.
  if (!std::filesystem::is_regular_file(status)) corrupt("it is no regular file");
  file_.open(path_, std::ios::binary);
  size_ = std::filesystem::file_size(path_, error);
  if (!file_.is_open() || error)
    throw EngineError(ErrorCode::ModelNotFound, shown(path_) + "cannot be opened.");
  if (size_ == 0) corrupt("it is empty");
}

void Source::read(uint64_t offset, void* target, uint64_t length, const char* what) {
  if (offset > size_ || length > size_ - offset) corrupt(std::string("it ends inside ") + what);
  if (length == 0) return;
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(offset));
  file_.read(static_cast<char*>(target), static_cast<std::streamsize>(length));
  if (!file_) corrupt(std::string("reading ") + what + " failed");
}

std::vector<uint8_t> Source::bytes(uint64_t offset, uint64_t length, const char* what) {
  if (offset > size_ || length > size_ - offset) corrupt(std::string("it ends inside ") + what);
  std::vector<uint8_t> buffer(length);
  read(offset, buffer.data(), length, what);
  return buffer;
}

void Source::corrupt(const std::string& what) const {
  throw EngineError(ErrorCode::ModelCorrupt, shown(path_) + "is not usable: " + what + ".");
}

void Source::unsupported(const std::string& what) const {
  throw EngineError(ErrorCode::ModelUnsupported, shown(path_) + "is not supported: " + what + ".");
}

const uint8_t* Cursor::take(uint64_t length, const char* what) {
  if (length > remaining()) source_.corrupt(std::string("it ends inside ") + what);
  if (position_ < windowStart_ || position_ + length > windowStart_ + window_.size()) {
    window_ = source_.bytes(position_, std::max(length, std::min(windowBytes, remaining())), what);
    windowStart_ = position_;
  }
  const uint8_t* at = window_.data() + (position_ - windowStart_);
  position_ += length;
  return at;
}

uint64_t Cursor::number(unsigned bytes, const char* what) {
  const uint8_t* at = take(bytes, what);
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(at[i]) << (8 * i);
  return value;
}

std::string Cursor::text(uint64_t limit, const char* what) {
  const uint64_t length = u64(what);
  if (length > limit)
    source_.corrupt(std::string(what) + " is " + std::to_string(length) + " bytes long, allowed are " +
                    std::to_string(limit));
  if (length == 0) return {};
  const uint8_t* at = take(length, what);
  return {at, at + length};
}

void Cursor::skip(uint64_t length, const char* what) {
  if (length > remaining()) source_.corrupt(std::string("it ends inside ") + what);
  position_ += length;
}

std::string quote(const std::string& name) {
  constexpr size_t longest = 100;
  std::string text = "\"";
  for (const char character : name.substr(0, longest))
    text += character >= ' ' && character != '"' && character != '\x7f' ? character : '?';
  return text + (name.size() > longest ? "…\"" : "\"");
}

int64_t elementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t largest = int64_t{1} << 48;
  int64_t count = 1;
  for (const int64_t axis : shape) {
    if (axis < 1 || axis > largest / count) return -1;
    count *= axis;
  }
  return count;
}

}  // namespace nd::model_file
