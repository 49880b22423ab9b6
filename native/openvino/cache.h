// Programs by what they were made of: structure, shapes and types of the graph, settings, and the content of
// every weight. Least recently used ones go when the bound of bytes is passed. One for the process, since two
// models of the same content share what was compiled. Any thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <utility>

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

  // What was compiled for such a graph, read from the disk or compiled now when there is nothing. Throws
  // Aborted at the next safe point after a cancel: before and after compiling, between what is written to the
  // disk, and while another thread's compilation is waited for. Others compile while this one writes.
  std::shared_ptr<Program> get(const Graph& graph, const Settings& settings, const Watcher& watcher = {});
  // Programs that read from this memory are let go: its model is.
  void forget(Block* block);
  void clear();
  // Memory of what was compiled from weights in this block.
  uint64_t bytesOf(Block& block) const;

 private:
  struct Entry {
    Id key;
    std::shared_ptr<Program> program;
  };
  // What a graph is known by.
  struct Keys {
    Id structure;
    Id exact;     // with the content of every weight
    Id adaptive;  // with that of the weights that cannot be inputs
    Id factors;   // content of those that can be, in any graph that reads the same
    // Where the latter lie; null where there are none or the settings want them constant.
    std::pair<const Block*, Id> place{nullptr, {}};
    bool canAdapt() const { return place.first != nullptr; }
  };
  // Factors as they were when the first graph was made of them, and whether they have changed for a graph
  // that was known.
  struct History {
    Id factors;
    bool varied = false;
  };

  static Keys keysOf(const Graph& graph, const Settings& settings);
  std::shared_ptr<Program> find(const Keys& keys);
  std::shared_ptr<Program> find(const Id& key);
  void keep(Entry entry, uint64_t bound);
  const char* reasonFor(const Keys& keys) const;
  uint64_t total() const;
  std::shared_ptr<Program> make(const Id& key, const Graph& graph, const Settings& settings, bool adaptive,
                                Compilation& made);
  bool varies(const Keys& keys) const;
  void remember(const Keys& keys, bool adaptive);

  std::timed_mutex compiling_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::set<Id> structures_;   // ever compiled, for the reason of a compilation
  std::set<Id> exact_;
  std::set<Id> constant_;  // exact keys of those whose weights were all constants
  std::set<Id> bases_;     // adaptive keys, whether or not an adaptive program was made
  std::map<std::pair<const Block*, Id>, History> histories_;
};

}  // namespace nd::openvino
