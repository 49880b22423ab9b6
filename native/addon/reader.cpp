#include "reader.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "async_job.h"

namespace nd::addon {
namespace {

constexpr uint32_t maxImageSide = 16384;
constexpr int64_t maxTensorSide = 16384;

}  // namespace

Reader::Reader(const Napi::Value& value, std::string name) : name_(std::move(name)) {
  if (!value.IsObject()) {
    throw makeError(value.Env(), ErrorCode::InvalidOption, "\"" + name_ + "\" must be an object.");
  }
  object_ = value.As<Napi::Object>();
}

void Reader::fail(const std::string& key, const std::string& expected) const {
  throw makeError(object_.Env(), ErrorCode::InvalidOption,
                  "\"" + name_ + "." + key + "\" must be " + expected + ".");
}

Napi::Value Reader::value(const char* key) const { return object_.Get(key); }

bool Reader::has(const char* key) const {
  const Napi::Value found = value(key);
  return !found.IsUndefined() && !found.IsNull();
}

Reader Reader::object(const char* key) const { return Reader(value(key), name_ + "." + key); }

std::string Reader::text(const char* key) const {
  if (!has(key)) return {};
  if (!value(key).IsString()) fail(key, "a string");
  return value(key).As<Napi::String>().Utf8Value();
}

double Reader::number(const char* key, double low, double high) const {
  const Napi::Value found = value(key);
  const double result = found.IsNumber() ? found.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(result >= low && result <= high)) {
    fail(key, "a number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return result;
}

int Reader::integer(const char* key, int low, int high) const {
  const double result = number(key, low, high);
  if (result != std::floor(result)) fail(key, "an integer");
  return static_cast<int>(result);
}

float Reader::real(const char* key) const {
  if (!value(key).IsNumber()) fail(key, "a number or NaN");
  const auto result = value(key).As<Napi::Number>().FloatValue();
  if (std::isinf(result)) fail(key, "finite or NaN");
  return result;
}

bool Reader::flag(const char* key) const {
  if (!value(key).IsBoolean()) fail(key, "true or false");
  return value(key).As<Napi::Boolean>();
}

int64_t Reader::seed(const char* key) const {
  constexpr double maxSafeInteger = 9007199254740991.0;
  return static_cast<int64_t>(number(key, 0, maxSafeInteger));
}

Napi::Array Reader::array(const char* key) const {
  if (!value(key).IsArray()) fail(key, "an array");
  return value(key).As<Napi::Array>();
}

Image Reader::image(const char* key) const { return imageOf(value(key), name_ + "." + key); }
Tensor Reader::tensor(const char* key) const { return tensorOf(value(key), name_ + "." + key); }

std::optional<Tensor> Reader::optionalTensor(const char* key) const {
  if (!has(key)) return std::nullopt;
  return tensor(key);
}

Image Reader::imageOf(const Napi::Value& value, const std::string& name) {
  const Reader reader(value, name);
  const auto width = static_cast<uint32_t>(reader.integer("width", 1, maxImageSide));
  const auto height = static_cast<uint32_t>(reader.integer("height", 1, maxImageSide));
  const auto channels = static_cast<uint32_t>(reader.integer("channels", 1, 3));
  const Napi::Value data = reader.value("data");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    reader.fail("data", "a Uint8Array");
  }
  const auto bytes = data.As<Napi::Uint8Array>();
  const size_t expected = static_cast<size_t>(width) * height * channels;
  if (bytes.ByteLength() != expected) reader.fail("data", "width * height * channels bytes");
  Image image = allocateImage(width, height, channels);
  if (!image) throw makeError(value.Env(), ErrorCode::OutOfMemory, "No memory for the image.");
  std::memcpy(image.data.get(), bytes.Data(), image.bytes());
  return image;
}

Tensor Reader::tensorOf(const Napi::Value& value, const std::string& name) {
  const Reader reader(value, name);
  const Napi::Value shape = reader.value("shape");
  if (!shape.IsArray() || shape.As<Napi::Array>().Length() != 4) reader.fail("shape", "four numbers");
  Tensor tensor;
  int64_t count = 1;
  for (uint32_t axis = 0; axis < 4; ++axis) {
    const Napi::Value size = shape.As<Napi::Array>()[axis];
    const double number = size.IsNumber() ? size.As<Napi::Number>().DoubleValue() : 0;
    if (!(number >= 1 && number <= maxTensorSide) || number != std::floor(number)) {
      reader.fail("shape", "four integers from 1 to 16384");
    }
    tensor.shape.push_back(static_cast<int64_t>(number));
    count *= tensor.shape.back();
  }
  const Napi::Value data = reader.value("data");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    reader.fail("data", "a Float32Array");
  }
  const auto floats = data.As<Napi::Float32Array>();
  if (static_cast<int64_t>(floats.ElementLength()) != count) reader.fail("data", "as long as the shape says");
  tensor.data.assign(floats.Data(), floats.Data() + floats.ElementLength());
  return tensor;
}

}  // namespace nd::addon
