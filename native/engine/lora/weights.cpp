#include "weights.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "checksum.h"
#include "kernel.h"
#include "parallel.h"
#include "types.h"
#include "weights_state.h"

namespace nd::lora {
namespace {

[[noreturn]] void throwChanged(const std::string& tensor) {
  throw EngineError(ErrorCode::ModelChanged,
                    "The checkpoint's \"" + tensor + "\" is no longer what was loaded.");
}

}  // namespace

Weights::Weights(std::unordered_map<std::string, std::unique_ptr<TensorAccess>> tensors, int threads)
    : tensors_(std::move(tensors)), threads_(threads) {}
Weights::~Weights() = default;

// Bytes of a block of the original, checked against what was seen when it was first changed.
void Weights::original(Change& change, size_t block, uint8_t* to) {
  State& state = *change.state;
  const size_t bytes = change.blockBytes(block);
  if (change.first && change.started[block] == 0) {
    change.tensor->read(change.offset(block), bytes, to);
    return;
  }
  if (!state.ram.empty()) {
    std::memcpy(to, state.ram.data() + change.offset(block), bytes);
    return;
  }
  if (state.device) {
    state.device->read(change.offset(block), bytes, to);
    return;
  }
  change.tensor->readOriginal(block * change.step(), change.blockElements(block), to);
  if (block < state.checks.size() && checksum(to, bytes) != state.checks[block]) throwChanged(change.name);
}

// Memory is written around the caches, without being read first. Bytes of a checkpoint that changed meanwhile
// are known by their sum after they were written: the change fails, as it does where they are only read.
void Weights::restoreInPlace(Change& change, size_t block, uint8_t* live) {
  State& state = *change.state;
  const size_t bytes = change.blockBytes(block);
  if (!state.ram.empty()) {
    streamCopy(state.ram.data() + change.offset(block), live, bytes);
    return;
  }
  uint8_t* const from = scratch(bytes).data();
  if (state.device || block >= state.checks.size()) {
    original(change, block, from);
    streamCopy(from, live, bytes);
    return;
  }
  change.tensor->readOriginal(block * change.step(), change.blockElements(block), from);
  if (checksumCopy(from, live, bytes) != state.checks[block]) throwChanged(change.name);
}

void Weights::runUnit(Change& change, size_t block) {
  TensorAccess& tensor = *change.tensor;
  State& state = *change.state;
  const size_t bytes = change.blockBytes(block);
  const size_t offset = change.offset(block);
  if (!change.keep.empty()) tensor.read(offset, bytes, change.keep.data() + offset);
  uint8_t* const live = tensor.host() == nullptr ? nullptr : tensor.host() + offset;
  uint8_t* const bytesAt = live != nullptr ? live : scratch(bytes).data();
  if (change.first) {
    if (live == nullptr) tensor.read(offset, bytes, bytesAt);
    if (change.copiesFirst) std::memcpy(state.ram.data() + offset, bytesAt, bytes);
    if (change.checksFirst) state.checks[block] = checksum(bytesAt, bytes);
  }
  const bool untouched = change.first && change.started[block] == 0;
  if (change.known != nullptr) {
    change.started[block] = 1;
    streamCopy(change.known->bytes.data() + offset, bytesAt, bytes);
  } else {
    // Where it is the original already, nothing is copied.
    change.started[block] = 1;
    if (!untouched && live != nullptr && !change.merger)
      restoreInPlace(change, block, live);
    else if (!untouched)
      original(change, block, bytesAt);
    if (change.merger)
      change.merger->mergeBlock(block * blockRows(change.shape),
                                change.blockElements(block) / change.shape.columns, bytesAt);
  }
  if (live == nullptr) tensor.write(offset, bytes, bytesAt);
}

void Weights::run(std::vector<Change>& changes, const std::vector<Unit>& units, Job* job,
                  WeightsResult* result) {
  constexpr auto pause = std::chrono::milliseconds(33);
  uint64_t total = 0;
  for (const Change& change : changes)
    if (!change.stays) total += change.codec.bytes(change.elements());
  std::atomic<uint64_t> done{0};
  std::atomic<size_t> pieces{0};
  auto last = std::chrono::steady_clock::now();
  const auto work = [&](size_t index) {
    if (job != nullptr) job->throwIfCancelled();
    Change& change = changes[units[index].change];
    if (change.isWhole()) {
      const size_t step = blockRows(change.shape);
      change.merger->mergeWhole(
          [&](size_t first, size_t /*rows*/, uint8_t* to) {
            if (job != nullptr) job->throwIfCancelled();
            const size_t block = first / step;
            original(change, block, to);
            const size_t bytes = change.blockBytes(block);
            if (!change.keep.empty())
              change.tensor->read(change.offset(block), bytes, change.keep.data() + change.offset(block));
            if (!change.first) return;
            if (change.copiesFirst) std::memcpy(change.state->ram.data() + change.offset(block), to, bytes);
            if (change.checksFirst) change.state->checks[block] = checksum(to, bytes);
          },
          [&](size_t first, size_t /*rows*/, const uint8_t* from) {
            const size_t block = first / step;
            change.started[block] = 1;
            change.tensor->write(change.offset(block), change.blockBytes(block), from);
          });
      done.fetch_add(change.codec.bytes(change.elements()));
    } else {
      runUnit(change, units[index].block);
      done.fetch_add(change.blockBytes(units[index].block));
    }
    pieces.fetch_add(1);
  };
  const auto between = [&] {
    if (job == nullptr || std::chrono::steady_clock::now() - last < pause) return;
    last = std::chrono::steady_clock::now();
    Progress progress;
    progress.phase = Phase::Lora;
    progress.step = static_cast<int>(pieces.load());
    progress.total = static_cast<int>(units.size());
    progress.bytes = done.load();
    progress.totalBytes = total;
    job->onProgress(progress);
  };
  parallel(units.size(), threads_, work, between);
  if (result != nullptr) result->bytes = total;
}

namespace {

template <typename Change, typename Unit>
std::vector<Unit> unitsOf(const std::vector<Change>& changes) {
  std::vector<Unit> units;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].isWhole()) units.push_back({i, 0});  // the long ones first
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].isWhole() || changes[i].stays) continue;
    for (size_t block = 0; block < blockCount(changes[i].shape); ++block) units.push_back({i, block});
  }
  return units;
}

}  // namespace

void Weights::verify(const std::vector<Change>& changes, Job& job) {
  std::vector<Change> all;
  const auto add = [&](const std::string& name, State& state, TensorAccess& tensor) {
    if (state.hasBackup()) return;
    Change change;
    change.name = name;
    change.tensor = &tensor;
    change.state = &state;
    change.codec = Codec(tensor.type());
    change.shape = state.shape;
    change.first = !state.home;
    all.push_back(std::move(change));
  };
  for (const Change& change : changes) add(change.name, *change.state, *change.tensor);
  for (auto& [name, state] : states_) {
    const bool listed = std::any_of(changes.begin(), changes.end(),
                                    [&known = state](const Change& c) { return c.state == &known; });
    if (!listed && state.home) add(name, state, *tensors_.at(name));
  }
  const std::vector<Unit> units = unitsOf<Change, Unit>(all);
  parallel(
      units.size(), threads_,
      [&](size_t index) {
        job.throwIfCancelled();
        Change& change = all[units[index].change];
        const size_t block = units[index].block;
        const size_t bytes = change.blockBytes(block);
        std::vector<uint8_t>& buffer = scratch(bytes);
        uint64_t wanted = 0;
        if (change.first) {
          change.tensor->read(change.offset(block), bytes, buffer.data());
          wanted = checksum(buffer.data(), bytes);
        } else {
          wanted = change.state->checks.at(block);
        }
        change.tensor->readOriginal(block * change.step(), change.blockElements(block), buffer.data());
        if (checksum(buffer.data(), bytes) != wanted) throwChanged(change.name);
      },
      [] {});
}

WeightsResult Weights::apply(const WeightsPlan& plan, Job& job) {
  const auto begun = std::chrono::steady_clock::now();
  if (!sound_)
    throw EngineError(ErrorCode::ModelChanged, "The model's weights could not be restored before.");
  WeightsResult result;
  std::vector<Change> changes = changesOf(plan);
  if (plan.backup == "file" && plan.verify) verify(changes, job);
  try {
    useKept(changes);
    makeRoom(changes, plan);
    for (Change& change : changes) {
      if (!change.first || change.stays) continue;
      State& state = *change.state;
      if (plan.backup == "device") state.device = change.tensor->duplicate();
      change.copiesFirst = plan.backup == "ram" || (plan.backup == "device" && !state.device);
      if (change.copiesFirst) state.ram.resize(change.codec.bytes(change.elements()));
      change.checksFirst = !state.hasBackup() && state.checks.empty();
      if (change.checksFirst) state.checks.assign(blockCount(change.shape), 0);
    }
    run(changes, unitsOf<Change, Unit>(changes), &job, &result);
    job.throwIfCancelled();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    undo(changes);
    std::rethrow_exception(error);
  }
  for (const Change& change : changes)
    ++(!change.after ? result.restored : change.merger ? result.merged : result.copied);
  commit(changes, plan);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return result;
}

// Writes again what was there before, in the blocks that were written.
void Weights::undo(std::vector<Change>& changes) {
  try {
    std::vector<Unit> units;
    for (size_t i = 0; i < changes.size(); ++i) {
      Change& change = changes[i];
      if (change.known != nullptr) change.known->inUse = change.state->shown == change.known;
      if (change.stays) continue;
      change.keep = {};
      change.known = nullptr;
      change.after = change.before;
      change.merger = change.before ? std::make_unique<Merger>(change.before->spec, change.before->files,
                                                               change.codec, change.shape)
                                    : nullptr;
      const bool whole = change.isWhole();
      const bool touched =
          std::any_of(change.started.begin(), change.started.end(), [](char b) { return b != 0; });
      if (whole && touched) units.push_back({i, 0});
      for (size_t block = 0; !whole && block < change.started.size(); ++block)
        if (change.started[block] != 0) units.push_back({i, block});
    }
    // What was changed for the first time has its original in the backup, for the blocks that were written.
    for (const Unit& unit : units) {
      Change& change = changes[unit.change];
      if (change.first) {
        std::vector<uint8_t>& buffer = scratch(change.blockBytes(unit.block));
        original(change, unit.block, buffer.data());
        change.tensor->write(change.offset(unit.block), change.blockBytes(unit.block), buffer.data());
      }
    }
    std::vector<Unit> again;
    for (const Unit& unit : units)
      if (!changes[unit.change].first) again.push_back(unit);
    run(changes, again, nullptr, nullptr);
    for (Change& change : changes) {
      if (!change.first || change.stays) continue;
      change.state->ram = {};
      change.state->device.reset();
      if (change.checksFirst) change.state->checks = {};
    }
  } catch (const std::exception& error) {
    sound_ = false;
    throw EngineError(ErrorCode::ModelChanged,
                      std::string("The weights could not be put back as they were: ") + error.what());
  }
}

void Weights::commit(std::vector<Change>& changes, const WeightsPlan& plan) {
  for (Change& change : changes) {
    State& state = *change.state;
    if (!change.keep.empty()) {
      keptBytes_ += change.keep.size();
      kept_.push_back({change.name, change.before->spec.key, std::move(change.keep)});
    }
    Kept* const shown = change.stays ? change.known : nullptr;
    if (state.shown != nullptr) state.shown->inUse = false;
    if (change.known != nullptr) change.known->inUse = shown != nullptr;
    if (state.shown != shown) change.tensor->show(shown != nullptr ? shown->bytes.data() : nullptr);
    state.shown = shown;
    state.now = change.after;
    if (change.stays) continue;
    state.home = change.after;
    if (state.home) continue;
    state.ram = {};
    state.device.reset();
  }
  trim(plan.cacheBytes);
}

void Weights::trim(uint64_t most) {
  for (auto kept = kept_.begin(); keptBytes_ > most && kept != kept_.end();) {
    if (kept->inUse) {
      ++kept;
      continue;
    }
    keptBytes_ -= kept->bytes.size();
    kept = kept_.erase(kept);
  }
}

}  // namespace nd::lora
