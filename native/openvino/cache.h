// Programs by what they were made of: structure, shapes and types of the graph, settings, and of every weight
// the content and the memory. Least recently used ones go when the bound of bytes is passed. One for the
// process, but a program is of one model: what is compiled may go on reading weights in their memory, where
// another model's job could not know that a LoRA is being merged. Any thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "compiler.h"

namespace nd::openvino {

struct Aborted {};

// A graph was made ready to run.
struct Compilation {
  const char* reason;
  int nodes;
  double ms;
  uint64_t bytes;
  bool fromDisk;
  uint64_t graph;  // number of the program
  uint64_t signature;
};

// A program in the cache.
struct KeptGraph {
  uint64_t number;
  uint64_t signature;
  uint64_t bytes;
};

// Whoever waits for a program.
struct Watcher {
  std::function<bool()> aborted;
  std::function<void(const Compilation&)> compiled;
  void check() const {
    if (aborted && aborted()) throw Aborted();
  }
};

class ProgramCache {
 public:
  static ProgramCache& instance();
  ProgramCache();

  // What was compiled for such a graph, read from the disk or compiled now when there is nothing. Throws
  // Aborted at the next safe point after a cancel: before and after compiling, between what is written to the
  // disk, and while another thread's compilation is waited for. Others compile while this one writes.
  std::shared_ptr<Program> get(const Graph& graph, const Settings& settings, const Watcher& watcher = {});
  // Programs with constants in this memory are let go: its model is. Those that it was an input of stay.
  void forget(Block* block);
  void clear();
  // Programs of weights in these blocks, most recently used first.
  std::vector<KeptGraph> graphsOf(const std::set<Block*>& blocks) const;
  // Lets go of such programs, least recently used first, until that many bytes are free: not of those to
  // keep, nor of one that is run now. The bytes that it freed.
  uint64_t release(const std::set<Block*>& blocks, const std::set<uint64_t>& keep, uint64_t bytes);
  // Memory of what was compiled from weights in this block.
  uint64_t bytesOf(Block& block) const;

 private:
  struct Key {
    Id content;
    Id memory;  // where the constants lie
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    Key key;
    std::shared_ptr<Program> program;
    uint64_t bound;  // of those who share it: runtimes of one cacheBytes
  };
  // What a graph is known by.
  struct Keys {
    Id structure;
    Key exact;              // of every weight
    Key adaptive;           // of the weights that cannot be inputs
    Id factors;             // content of those that can be, in any graph that reads the same
    Id place;               // where those of them lie that are the model's own
    bool canAdapt = false;  // there are such, and the settings let them be inputs
    const Block* owner = nullptr;
  };
  // Factors as they were when the first graph was made of them, and whether they have changed for a graph
  // that was known.
  struct History {
    Id factors;
    bool varied = false;
  };
  // What was ever compiled of a model's weights.
  struct Past {
    std::set<Id> structures;  // for the reason of a compilation
    std::set<Id> exact;
    std::set<Id> constant;            // exact contents of those whose weights were all constants
    std::set<Id> bases;               // adaptive contents, whether or not an adaptive program was made
    std::map<Id, History> histories;  // by place
  };

  static Keys keysOf(const Graph& graph, const Settings& settings);
  std::shared_ptr<Program> find(const Keys& keys);
  // Read or compiled now, unless another thread has done it meanwhile.
  std::shared_ptr<Program> obtain(const Keys& keys, const Graph& graph, const Settings& settings,
                                  const Watcher& watcher);
  std::shared_ptr<Program> find(const Key& key);
  void keep(Entry entry);
  const char* reasonFor(const Keys& keys) const;
  uint64_t total(uint64_t bound) const;
  std::shared_ptr<Program> make(const Id& key, const Graph& graph, const Settings& settings, bool adaptive,
                                const Watcher& watcher, Compilation& made);
  bool varies(const Keys& keys) const;
  void remember(const Keys& keys, bool adaptive);

  std::timed_mutex compiling_;
  mutable std::mutex mutex_;
  uint64_t lastNumber_;                 // unlike those of a process before, and below 2^53
  std::list<Entry> entries_;            // most recently used first
  std::map<const Block*, Past> pasts_;  // by owner
};

}  // namespace nd::openvino
