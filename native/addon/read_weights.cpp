// The plan of a change of weights (lib/native/contract.ts). What it names is checked by native/engine/lora
// against the model and the files; here types and ranges.
#include "async_job.h"
#include "reader.h"

namespace nd::addon {
namespace {

constexpr double maxSafeInteger = 9007199254740991.0;
constexpr int maxFiles = 1024;

double finite(const Reader& reader, const char* key) { return reader.number(key, -1e30, 1e30); }

int64_t whole(const Reader& reader, const char* key) {
  return static_cast<int64_t>(reader.number(key, 0, maxSafeInteger));
}

lora::PartSpec readPart(const Napi::Value& value, const std::string& name) {
  const Reader reader(value, name);
  lora::PartSpec part;
  part.dtype = reader.text("dtype");
  part.offset = static_cast<uint64_t>(whole(reader, "offset"));
  const Napi::Array shape = reader.array("shape");
  double count = 1;
  for (uint32_t axis = 0; axis < shape.Length(); ++axis) {
    const Napi::Value size = shape[axis];
    const double number = size.IsNumber() ? size.As<Napi::Number>().DoubleValue() : -1;
    count *= number;
    if (!(number >= 0 && count <= maxSafeInteger) ||
        number != static_cast<double>(static_cast<int64_t>(number)))
      reader.fail("shape", "sizes of a tensor");
    part.shape.push_back(static_cast<int64_t>(number));
  }
  return part;
}

lora::DeltaSpec readDelta(const Napi::Value& value, const std::string& name) {
  const Reader reader(value, name);
  lora::DeltaSpec delta;
  delta.file = static_cast<size_t>(reader.integer("file", 0, maxFiles));
  delta.kind = reader.text("kind");
  delta.multiplier = finite(reader, "multiplier");
  delta.scale = finite(reader, "scale");
  delta.rowOffset = whole(reader, "rowOffset");
  delta.rows = whole(reader, "rows");
  delta.rank = whole(reader, "rank");
  delta.flag = reader.flag("flag");
  const Reader parts = reader.object("parts");
  const Napi::Array keys = reader.value("parts").As<Napi::Object>().GetPropertyNames();
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string key = Napi::Value(keys[i]).ToString().Utf8Value();
    std::string where = name;
    where.append(".parts.").append(key);
    delta.parts[key] = readPart(parts.value(key.c_str()), where);
  }
  return delta;
}

}  // namespace

lora::WeightsPlan readWeightsPlan(const Napi::Value& value) {
  const Reader reader(value, "plan");
  lora::WeightsPlan plan;
  plan.backup = reader.text("backup");
  if (plan.backup != "file" && plan.backup != "ram" && plan.backup != "device")
    reader.fail("backup", "file, ram or device");
  plan.verify = reader.flag("verify");
  plan.cacheBytes = static_cast<uint64_t>(whole(reader, "cacheBytes"));
  const Napi::Array files = reader.array("files");
  if (files.Length() > maxFiles) reader.fail("files", "at most 1024 files");
  for (uint32_t i = 0; i < files.Length(); ++i) {
    const Reader file(files[i], "plan.files[" + std::to_string(i) + "]");
    plan.files.push_back({file.text("id"), file.text("path"), file.text("stamp")});
  }
  const Napi::Array targets = reader.array("targets");
  plan.targets.reserve(targets.Length());
  for (uint32_t i = 0; i < targets.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const std::string name = "plan.targets[" + std::to_string(i) + "]";
    const Reader target(targets[i], name);
    lora::TargetSpec spec;
    spec.tensor = target.text("tensor");
    spec.key = target.text("key");
    spec.rows = whole(target, "rows");
    const Napi::Array deltas = target.array("deltas");
    for (uint32_t j = 0; j < deltas.Length(); ++j)
      spec.deltas.push_back(readDelta(deltas[j], name + ".deltas[" + std::to_string(j) + "]"));
    plan.targets.push_back(std::move(spec));
  }
  return plan;
}

std::vector<std::string> readNames(const Napi::Value& value) {
  if (!value.IsArray()) throw makeError(value.Env(), ErrorCode::InvalidOption, "\"names\" must be an array.");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value name = array[i];
    if (!name.IsString())
      throw makeError(value.Env(), ErrorCode::InvalidOption, "\"names\" must be strings.");
    names.push_back(name.As<Napi::String>().Utf8Value());
  }
  return names;
}

}  // namespace nd::addon
