// What the weights cost and what they are: memory, digest, and letting go of what is not needed.
#include <algorithm>

#include "checksum.h"
#include "parallel.h"
#include "sha256.h"
#include "types.h"
#include "weights_state.h"

namespace nd::lora {
namespace {

size_t bytesIn(const TensorAccess& tensor) { return Codec(tensor.type()).bytes(elementsOf(tensor)); }

}  // namespace

WeightsMemory Weights::memory() const {
  WeightsMemory memory;
  memory.cache = keptBytes_;
  std::unordered_map<const LoraFile*, size_t> files;
  for (const auto& [name, state] : states_) {
    memory.ramBackup += state.ram.size();
    if (state.device)
      memory.deviceBackup += Codec(state.device->type()).bytes(state.shape.rows * state.shape.columns);
    if (state.now) ++memory.changedTensors;
    for (const auto& recipe : {state.now, state.home}) {
      if (!recipe) continue;
      for (const auto& file : recipe->files) files[file.get()] = file->bytes();
    }
  }
  for (const auto& [file, bytes] : files) memory.loraFiles += bytes;
  return memory;
}

uint64_t Weights::releaseBackups(bool fromFile) {
  uint64_t freed = keptBytes_;
  trim(0);
  freed -= keptBytes_;
  if (!fromFile) return freed;
  for (auto& [name, state] : states_) {
    if (!state.hasBackup()) continue;
    Change change;
    change.name = name;
    change.tensor = tensors_.at(name).get();
    change.state = &state;
    change.codec = Codec(change.tensor->type());
    change.shape = state.shape;
    std::vector<uint64_t> checks(blockCount(state.shape));
    bool same = true;
    std::vector<uint8_t> ours;
    std::vector<uint8_t> disk;
    change.started.assign(checks.size(), 1);
    try {
      for (size_t block = 0; same && block < checks.size(); ++block) {
        ours.resize(change.blockBytes(block));
        disk.resize(ours.size());
        original(change, block, ours.data());
        change.tensor->readOriginal(block * change.step(), change.blockElements(block), disk.data());
        same = ours == disk;
        checks[block] = checksum(ours.data(), ours.size());
      }
    } catch (const EngineError&) {
      same = false;
    }
    if (!same) continue;  // the file is another: this copy is the only one
    freed += change.codec.bytes(change.elements());
    state.ram = {};
    state.device.reset();
    state.checks = std::move(checks);
  }
  return freed;
}

const uint8_t* Weights::bytesOf(const std::string& tensor, std::vector<uint8_t>& buffer) {
  TensorAccess& access = *tensors_.at(tensor);
  const auto state = states_.find(tensor);
  if (state != states_.end() && state->second.shown != nullptr) return state->second.shown->bytes.data();
  if (access.host() != nullptr) return access.host();
  buffer.resize(bytesIn(access));
  access.read(0, buffer.size(), buffer.data());
  return buffer.data();
}

std::vector<uint8_t> Weights::read(const std::string& tensor) {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end())
    throw EngineError(ErrorCode::InvalidOption, "The model has no tensor \"" + tensor + "\".");
  std::vector<uint8_t> buffer;
  const uint8_t* const bytes = bytesOf(tensor, buffer);
  return bytes == buffer.data() ? std::move(buffer)
                                : std::vector<uint8_t>(bytes, bytes + bytesIn(*found->second));
}

std::vector<TensorDigest> Weights::digest(Job& job) {
  std::vector<std::pair<std::string, TensorAccess*>> list;
  for (const auto& [name, tensor] : tensors_) list.emplace_back(name, tensor.get());
  std::sort(list.begin(), list.end());
  std::vector<TensorDigest> digests(list.size());
  parallel(
      list.size(), threads_,
      [&](size_t index) {
        job.throwIfCancelled();
        TensorAccess& tensor = *list[index].second;
        TensorDigest& result = digests[index];
        result.name = list[index].first;
        result.type = ggml_type_name(tensor.type());
        result.shape = tensor.shape();
        thread_local std::vector<uint8_t> buffer;
        Sha256 hash;
        hash.update(bytesOf(result.name, buffer), bytesIn(tensor));
        result.sha256 = hash.hex();
      },
      [] {});
  return digests;
}

}  // namespace nd::lora
