// What has to change for a plan, and which bytes of it were kept.
#include <algorithm>

#include "types.h"
#include "weights_state.h"

namespace nd::lora {
namespace {

template <typename Recipe>
bool isSame(const std::shared_ptr<const Recipe>& one, const std::shared_ptr<const Recipe>& other) {
  return one && other ? one->spec.key == other->spec.key : !one && !other;
}

}  // namespace

std::vector<Weights::Change> Weights::changesOf(const WeightsPlan& plan) {
  std::unordered_map<std::string, std::shared_ptr<const LoraFile>> open;
  for (const auto& [name, state] : states_) {
    for (const auto& recipe : {state.now, state.home}) {
      if (!recipe) continue;
      for (const auto& file : recipe->files) open[file->id()] = file;
    }
  }
  const auto fileOf = [&](size_t index) {
    if (index >= plan.files.size()) throw EngineError(ErrorCode::InvalidOption, "A delta names no file.");
    std::shared_ptr<const LoraFile>& file = open[plan.files[index].id];
    if (!file) file = std::make_shared<const LoraFile>(plan.files[index]);
    return file;
  };
  std::vector<Change> changes;
  for (const TargetSpec& target : plan.targets) {
    const auto found = tensors_.find(target.tensor);
    if (found == tensors_.end())
      throw EngineError(ErrorCode::InvalidOption, "The model has no tensor \"" + target.tensor + "\".");
    Change change;
    change.name = target.tensor;
    change.tensor = found->second.get();
    change.codec = Codec(change.tensor->type());
    State& state = states_[target.tensor];
    change.state = &state;
    change.before = state.home;
    const size_t count = elementsOf(*change.tensor);
    const bool isKnown = state.now || state.home || state.hasBackup();
    const auto rows = isKnown ? state.shape.rows : static_cast<size_t>(target.rows);
    if (rows == 0 || count % rows != 0 ||
        (rows != static_cast<size_t>(target.rows) && !target.deltas.empty()))
      throw EngineError(ErrorCode::InvalidOption,
                        "The rows given for \"" + target.tensor + "\" do not divide it.");
    change.shape = {rows, count / rows};
    if (state.shape.rows != rows) state.checks = {};  // of other blocks
    state.shape = change.shape;
    if (!target.deltas.empty()) {
      auto recipe = std::make_shared<Recipe>();
      recipe->spec = target;
      for (const DeltaSpec& delta : target.deltas) {
        if (delta.rowOffset < 0 || delta.rows < 1 || delta.rowOffset + delta.rows > target.rows)
          throw EngineError(ErrorCode::InvalidOption, "A delta lies outside \"" + target.tensor + "\".");
        recipe->files.push_back(fileOf(delta.file));
      }
      change.after = std::move(recipe);
    }
    if (isSame(state.now, change.after)) continue;  // it is there already
    change.stays = isSame(state.home, change.after);
    change.first = !change.before && !state.hasBackup();
    change.started.assign(blockCount(change.shape), 0);
    changes.push_back(std::move(change));
  }
  return changes;
}

Weights::Kept* Weights::keptOf(const std::string& tensor, const Recipe& recipe) {
  const auto hit = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.tensor == tensor && kept.key == recipe.spec.key;
  });
  if (hit == kept_.end()) return nullptr;
  kept_.splice(kept_.end(), kept_, hit);  // used last
  return &*hit;
}

// What was kept is shown in place of the tensor's own memory where the engine reads it from there, else
// copied.
void Weights::useKept(std::vector<Change>& changes) {
  for (Change& change : changes) {
    if (!change.after || change.stays) continue;
    change.known = keptOf(change.name, *change.after);
    if (change.known == nullptr) {
      change.merger =
          std::make_unique<Merger>(change.after->spec, change.after->files, change.codec, change.shape);
      continue;
    }
    change.known->inUse = true;
    change.stays = change.tensor->canShow();
  }
}

// Buffers for what is overwritten and may be wanted again, within the cache's bound.
void Weights::makeRoom(std::vector<Change>& changes, const WeightsPlan& plan) {
  uint64_t used = 0;
  for (const Kept& kept : kept_)
    if (kept.inUse) used += kept.bytes.size();
  uint64_t wanted = 0;
  std::vector<Change*> keeping;
  for (Change& change : changes) {
    const uint64_t bytes = change.codec.bytes(change.elements());
    if (change.stays || !change.before || keptOf(change.name, *change.before) != nullptr) continue;
    if (used + wanted + bytes > plan.cacheBytes) continue;
    wanted += bytes;
    keeping.push_back(&change);
  }
  trim(plan.cacheBytes < wanted ? 0 : plan.cacheBytes - wanted);
  for (Change* const change : keeping) change->keep = KeptBytes(change->codec.bytes(change->elements()));
}

}  // namespace nd::lora
