// What the weights cost and what they are: memory, digest, and letting go of what is not needed.
#include <algorithm>

#include "kernel.h"
#include "parallel.h"
#include "sha256.h"
#include "types.h"
#include "weights_state.h"

namespace nd::lora {

WeightsMemory Weights::memory() const {
  WeightsMemory memory;
  memory.cache = keptBytes_;
  std::unordered_map<const LoraFile*, size_t> files;
  for (const auto& [name, state] : states_) {
    memory.ramBackup += state.ram.size();
    if (state.device)
      memory.deviceBackup += Codec(state.device->type()).bytes(state.shape.rows * state.shape.columns);
    if (!state.now) continue;
    ++memory.changedTensors;
    for (const auto& file : state.now->files) files[file.get()] = file->bytes();
  }
  for (const auto& [file, bytes] : files) memory.loraFiles += bytes;
  return memory;
}

uint64_t Weights::releaseBackups(bool fromFile) {
  uint64_t freed = keptBytes_;
  trim(0);
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
        size_t count = 1;
        for (const int64_t size : result.shape) count *= static_cast<size_t>(size);
        const size_t bytes = Codec(tensor.type()).bytes(count);
        Sha256 hash;
        if (tensor.host() != nullptr) {
          hash.update(tensor.host(), bytes);
        } else {
          std::vector<uint8_t>& buffer = scratch(bytes);
          tensor.read(0, bytes, buffer.data());
          hash.update(buffer.data(), bytes);
        }
        result.sha256 = hash.hex();
      },
      [] {});
  return digests;
}

}  // namespace nd::lora
