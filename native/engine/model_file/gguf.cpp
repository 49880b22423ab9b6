// GGUF: counts, key-values, tensor infos, weights. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include <algorithm>
#include <array>
#include <set>

#include "check.h"
#include "ggml.h"
#include "source.h"

namespace nd::model_file {
namespace {

constexpr uint32_t typeU32 = 4;
constexpr uint32_t typeString = 8;
constexpr uint32_t typeArray = 9;
constexpr std::array<uint64_t, 13> sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr uint64_t maxString = 16'777'216;
constexpr uint64_t maxKeys = 65'536;
constexpr uint64_t maxKeyBytes = 4096;  // of the engine's second reader

struct Facts {
  uint64_t alignment = 32;
  bool arrays = false;
};

void skipStrings(Cursor& cursor, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) cursor.text(maxString, "a GGUF string");
}

void readKeyValue(Source& source, Cursor& cursor, Facts& facts, std::set<std::string>& keys) {
  const std::string key = cursor.text(maxKeyBytes, "a GGUF key");
  if (key.empty()) source.corrupt("a GGUF key is empty");  // ggml asserts that there is none
  if (!keys.insert(key).second) source.corrupt("metadata " + quote(key) + " appears twice");
  const uint32_t type = cursor.u32("a GGUF value type");
  // ggml asserts that this is a u32.
  if (key == "general.alignment") {
    facts.alignment = type == typeU32 ? cursor.u32("general.alignment") : 0;
    constexpr uint64_t largest = 1U << 20;
    if (facts.alignment == 0 || (facts.alignment & (facts.alignment - 1)) != 0 || facts.alignment > largest)
      source.corrupt("general.alignment is no power of two");
    return;
  }
  if (type == typeString) return skipStrings(cursor, 1);
  if (type != typeArray) {
    if (type >= sizes.size()) source.corrupt("metadata " + quote(key) + " has an unknown type");
    return cursor.skip(sizes[type], "a GGUF value");
  }
  facts.arrays = true;
  const uint32_t element = cursor.u32("a GGUF array type");
  const uint64_t length = cursor.u64("a GGUF array length");
  const bool known = element < sizes.size() && element != typeArray;
  if (!known) source.corrupt("metadata " + quote(key) + " is an array of an unknown type");
  const uint64_t smallest = element == typeString ? sizeof(uint64_t) : sizes[element];
  if (length > cursor.remaining() / smallest)
    source.corrupt("metadata " + quote(key) + " ends outside the file");
  if (element == typeString) return skipStrings(cursor, length);
  cursor.skip(length * sizes[element], "a GGUF array");
}

struct Info {
  uint64_t offset;
  uint64_t bytes;
};

Info readTensor(Source& source, Cursor& cursor, std::set<std::string>& names, bool& second) {
  const std::string name = cursor.text(kMaxTensorName, "a tensor name");
  if (name.find('\0') != std::string::npos) source.corrupt("a tensor name has a NUL character");
  if (!names.insert(name).second) source.corrupt("the tensor " + quote(name) + " appears twice");
  const std::string of = "tensor " + quote(name);
  const uint32_t axes = cursor.u32("the number of dimensions");
  constexpr uint32_t most = 8;
  if (axes > most) source.corrupt(of + " has " + std::to_string(axes) + " dimensions");
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < axes; ++i) shape.push_back(static_cast<int64_t>(cursor.u64("a dimension")));
  const uint32_t type = cursor.u32("a tensor type");
  if (type >= GGML_TYPE_COUNT || ggml_blck_size(static_cast<ggml_type>(type)) <= 0)
    source.corrupt(of + " has the unknown type " + std::to_string(type));
  const auto ggmlType = static_cast<ggml_type>(type);
  const int64_t block = ggml_blck_size(ggmlType);
  const int64_t count = elementCount(shape);
  if (count < 0) source.corrupt(of + " has an axis of 0 or is larger than any file");
  const int64_t row = shape.empty() ? 1 : shape[0];
  if (row % block != 0) source.corrupt(of + " has rows that are no whole number of blocks");
  // What ggml's own reader refuses the engine gives to a second one.
  second = second || name.size() >= GGML_MAX_NAME || axes > GGML_MAX_DIMS;
  return {cursor.u64("a tensor offset"), static_cast<uint64_t>(count / block) * ggml_type_size(ggmlType)};
}

}  // namespace

void checkGguf(Source& source) {
  constexpr uint64_t afterMagic = 4;
  Cursor cursor(source, afterMagic);
  const uint32_t version = cursor.u32("the GGUF version");
  if (version != 2 && version != 3) source.unsupported("its GGUF version is " + std::to_string(version));
  const uint64_t tensors = cursor.u64("the number of tensors");
  const uint64_t keyValues = cursor.u64("the number of key-values");
  if (tensors == 0) source.corrupt("it has no tensors");
  if (tensors > kMaxTensors || keyValues > maxKeys) source.corrupt("it lists too many tensors or key-values");
  Facts facts;
  std::set<std::string> keys;
  for (uint64_t i = 0; i < keyValues; ++i) readKeyValue(source, cursor, facts, keys);
  std::vector<Info> infos;
  std::set<std::string> names;
  bool second = false;
  for (uint64_t i = 0; i < tensors; ++i) infos.push_back(readTensor(source, cursor, names, second));
  // The second reader takes the elements of an array for key-values and goes astray.
  if (second && facts.arrays)
    source.unsupported("it has tensors with long names or more than 4 dimensions beside metadata arrays");
  const uint64_t mask = facts.alignment - 1;
  const uint64_t start = (cursor.position() + mask) & ~mask;
  uint64_t expected = 0;
  for (const Info& info : infos) {
    if (info.offset != expected) source.corrupt("its tensors do not follow one another without holes");
    if (start > source.size() || info.offset > source.size() - start ||
        info.bytes > source.size() - start - info.offset)
      source.corrupt("a tensor lies outside the file");
    expected += (info.bytes + mask) & ~mask;
  }
}

}  // namespace nd::model_file
