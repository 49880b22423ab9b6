// safetensors: eight bytes of length, a JSON object of tensors, weights.
// https://huggingface.co/docs/safetensors
#include <algorithm>
#include <set>

#include "check.h"
#include "json.hpp"
#include "source.h"

namespace nd::model_file {
namespace {

constexpr uint64_t maxHeader = 100'000'000;
constexpr uint64_t prefix = 8;

int bitsOf(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 64;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 32;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 16;
  if (dtype == "F8_E4M3" || dtype == "F8_E5M2" || dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 8;
  return 0;
}

// Listens to the parser, so that no tree is built. Throws through `source` on what is not as it must be.
class Listener : public nlohmann::json_sax<nlohmann::json> {
 public:
  Listener(const Source& source, uint64_t dataBytes) : source_(source), dataBytes_(dataBytes) {}

  const std::vector<std::pair<uint64_t, uint64_t>>& ranges() const { return ranges_; }
  bool syntaxError() const { return syntaxError_; }

  bool null() override { return value(); }
  bool boolean(bool /*value*/) override { return value(); }
  bool number_integer(number_integer_t number) override {
    if (list_ != nullptr && number < 0) source_.corrupt("tensor " + quote(name_) + " has a negative number");
    return value();
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (list_ == nullptr) return value();
    constexpr size_t most = 8;
    if (list_->size() == most || number > uint64_t{1} << 62)
      source_.corrupt("tensor " + quote(name_) + " has too many or too large numbers");
    list_->push_back(static_cast<int64_t>(number));
    return true;
  }
  bool number_float(number_float_t /*number*/, const string_t& /*text*/) override { return value(); }
  bool string(string_t& text) override {
    if (!metadata_ && depth_ == 2 && key_ == "dtype") {
      dtype_ = text;
      return true;
    }
    return value();
  }
  bool binary(binary_t& /*bytes*/) override { return value(); }

  bool start_object(size_t /*count*/) override {
    if (depth_ == 1) {
      dtype_.clear();
      shape_.clear();
      offsets_.clear();
      hasShape_ = false;
      entry_ = true;
    } else if (depth_ > 1 && !metadata_) {
      value();
    }
    return deeper();
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      name_ = text;
      metadata_ = text == "__metadata__";
      if (text.size() > kMaxTensorName) source_.corrupt("the tensor name " + quote(text) + " is too long");
      if (text.find('\0') != std::string::npos) source_.corrupt("a tensor name has a NUL character");
      if (!names_.insert(text).second) source_.corrupt(quote(text) + " appears twice");
      if (names_.size() > kMaxTensors) source_.corrupt("it lists too many tensors");
    }
    key_ = depth_ == 2 ? text : std::string();
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1 && !metadata_) tensor();
    if (depth_ == 1) entry_ = false;
    return true;
  }
  bool start_array(size_t /*count*/) override {
    if (depth_ == 0) source_.corrupt("the safetensors header is no JSON object");
    if (depth_ == 1) value();
    if (!metadata_ && depth_ == 2 && key_ == "shape") {
      list_ = &shape_;
      list_->clear();
      hasShape_ = true;
    } else if (!metadata_ && depth_ == 2 && key_ == "data_offsets") {
      list_ = &offsets_;
      list_->clear();
    } else if (!metadata_) {
      value();
    }
    return deeper();
  }
  bool end_array() override {
    --depth_;
    list_ = nullptr;
    return true;
  }
  bool parse_error(size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    syntaxError_ = true;
    return false;
  }

 private:
  // A value that is no part of a tensor's description: fine inside __metadata__ and under foreign keys.
  bool value() {
    constexpr size_t most = 4'000'000;
    if (++values_ > most) source_.corrupt("the safetensors header has too many values");
    if (depth_ == 0) source_.corrupt("the safetensors header is no JSON object");
    const bool described = key_ == "dtype" || key_ == "shape" || key_ == "data_offsets";
    if (depth_ == 1 || (!metadata_ && (list_ != nullptr || (depth_ == 2 && described))))
      source_.corrupt("the entry " + quote(name_) + " does not describe a tensor");
    return true;
  }
  bool deeper() {
    constexpr int deepest = 32;
    if (list_ != nullptr && depth_ > 2) source_.corrupt("tensor " + quote(name_) + " has lists inside lists");
    if (++depth_ > deepest) source_.corrupt("the safetensors header is nested too deeply");
    return true;
  }
  void tensor() {
    const std::string of = "tensor " + quote(name_);
    if (dtype_.empty() || !hasShape_ || offsets_.size() != 2)
      source_.corrupt(of + " lacks dtype, shape or two data_offsets");
    const int bits = bitsOf(dtype_);
    if (bits == 0) source_.corrupt(of + " has the unknown dtype " + quote(dtype_));
    const int64_t count = elementCount(shape_);
    const auto begin = static_cast<uint64_t>(offsets_[0]);
    const auto end = static_cast<uint64_t>(offsets_[1]);
    if (count < 0) source_.corrupt(of + " has an axis of 0 or is larger than any file");
    if (begin > end || end > dataBytes_) source_.corrupt(of + " lies outside the file");
    if (static_cast<uint64_t>(count) * static_cast<uint64_t>(bits) != (end - begin) * 8)
      source_.corrupt(of + " has a shape and dtype that do not match its bytes");
    constexpr size_t axes = 5;  // the engine's SD_MAX_DIMS
    if (shape_.size() > axes) source_.unsupported(of + " has more than 5 dimensions");
    ranges_.emplace_back(begin, end);
  }

  const Source& source_;
  uint64_t dataBytes_;
  int depth_ = 0;
  bool metadata_ = false;
  bool entry_ = false;
  bool hasShape_ = false;
  bool syntaxError_ = false;
  size_t values_ = 0;
  std::string name_;
  std::string key_;
  std::string dtype_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> offsets_;
  std::vector<int64_t>* list_ = nullptr;
  std::set<std::string> names_;
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

}  // namespace

bool checkSafetensors(Source& source) {
  Cursor cursor(source, 0);
  const uint64_t length = cursor.u64("the safetensors header length");
  const uint64_t follow = source.size() - prefix;
  uint8_t first = 0;
  if (follow > 0) source.read(prefix, &first, 1, "the safetensors header");
  const bool likely = first == '{';
  if (length > follow || length < 2) {
    if (likely)
      source.corrupt("the safetensors header length is " + std::to_string(length) + " bytes and " +
                     std::to_string(follow) + " follow");
    return false;
  }
  if (length > maxHeader) source.corrupt("the safetensors header is longer than 100 MB");
  const std::vector<uint8_t> header = source.bytes(prefix, length, "the safetensors header");
  Listener listener(source, follow - length);
  const bool parsed = nlohmann::json::sax_parse(header.begin(), header.end(), &listener);
  if (!parsed) {
    if (likely) source.corrupt("the safetensors header is no JSON");
    return false;
  }
  auto ranges = listener.ranges();
  if (ranges.empty()) source.corrupt("it has no tensors");
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) source.corrupt("two tensors share bytes");
  }
  return true;
}

}  // namespace nd::model_file
