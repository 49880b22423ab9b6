// The weights of one model that can be changed and restored: which tensors are changed now, from what their
// originals come, and merged tensors that are kept. Belongs to the model's thread.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec.h"
#include "job.h"
#include "merge.h"
#include "spec.h"

namespace nd::lora {

// Where the bytes of a tensor are, in memory and on disk. All functions but `show` may be called on several
// threads for different rows.
class TensorAccess {
 public:
  virtual ~TensorAccess() = default;
  virtual ggml_type type() const = 0;
  virtual std::vector<int64_t> shape() const = 0;  // outermost first
  // The tensor's own memory, whatever is shown; null: not in host memory.
  virtual uint8_t* host() = 0;
  // The engine computes with these bytes from now on; null: with the tensor's own again. Only where
  // `canShow`.
  virtual bool canShow() const noexcept = 0;
  virtual void show(uint8_t* bytes) noexcept = 0;
  // Own memory.
  virtual void read(size_t offset, size_t bytes, uint8_t* to) = 0;
  virtual void write(size_t offset, size_t bytes, const uint8_t* from) = 0;
  // As the load left them: read from the checkpoint again and converted. Throws EngineError (ModelChanged).
  virtual void readOriginal(size_t element, size_t elements, uint8_t* to) = 0;
  // A copy of the tensor beside it, in its own kind of memory; null where that is host memory.
  virtual std::unique_ptr<TensorAccess> duplicate() = 0;
};

class Weights {
 public:
  Weights(std::unordered_map<std::string, std::unique_ptr<TensorAccess>> tensors, int threads);
  ~Weights();

  WeightsResult apply(const WeightsPlan& plan, Job& job);
  std::vector<TensorDigest> digest(Job& job);
  // The bytes of a tensor as the engine has them. Throws EngineError (InvalidOption).
  std::vector<uint8_t> read(const std::string& tensor);
  WeightsMemory memory() const;
  // Drops kept merged tensors, and backups whose originals the checkpoint still has. Returns bytes.
  uint64_t releaseBackups(bool fromFile);
  // False after a failure that could not be undone.
  bool isSound() const { return sound_; }
  const std::unordered_map<std::string, std::unique_ptr<TensorAccess>>& tensors() const { return tensors_; }

 private:
  struct Recipe;
  struct State;
  struct Change;
  struct Unit;
  struct Kept;

  std::vector<Change> changesOf(const WeightsPlan& plan);
  void verify(const std::vector<Change>& changes, Job& job);
  void run(std::vector<Change>& changes, const std::vector<Unit>& units, Job* job, WeightsResult* result);
  void runUnit(Change& change, size_t block);
  void original(Change& change, size_t block, uint8_t* to);
  void restoreInPlace(Change& change, size_t block, uint8_t* live);
  void undo(std::vector<Change>& changes);
  void commit(std::vector<Change>& changes, const WeightsPlan& plan);
  void trim(uint64_t most);
  Kept* keptOf(const std::string& tensor, const Recipe& recipe);
  void useKept(std::vector<Change>& changes);
  void makeRoom(std::vector<Change>& changes, const WeightsPlan& plan);
  // The bytes of a whole tensor as the engine has them; `buffer` is used where they are not in host memory.
  const uint8_t* bytesOf(const std::string& tensor, std::vector<uint8_t>& buffer);

  std::unordered_map<std::string, std::unique_ptr<TensorAccess>> tensors_;
  std::unordered_map<std::string, State> states_;
  int threads_;
  bool sound_ = true;
  // Merged tensors beside the model's own memory, the least recently used first. Those that are shown stay.
  std::list<Kept> kept_;
  uint64_t keptBytes_ = 0;
};

}  // namespace nd::lora
