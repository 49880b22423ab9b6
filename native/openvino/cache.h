// Programs by what they were made of: structure, shapes and types of the graph, settings, and the content of
// every weight. Least recently used ones go when the bound of bytes is passed. One for the process, since two
// models of the same content share what was compiled. Any thread.
#pragma once

#include <list>
#include <map>
#include <set>

#include "compiler.h"

namespace nd::openvino {

class ProgramCache {
 public:
  static ProgramCache& instance();

  // What was compiled for such a graph, compiled now when there is nothing.
  std::shared_ptr<Program> get(const Graph& graph, const Settings& settings);
  // Programs that read from this memory are let go: its model is.
  void forget(const Block* block);
  void clear();

 private:
  struct Entry {
    Id key;
    std::shared_ptr<Program> program;
  };
  std::shared_ptr<Program> find(const Id& key);
  void keep(const Id& key, const std::shared_ptr<Program>& program, uint64_t bound);
  const char* reasonFor(const Id& key, const Id& structure) const;
  uint64_t total() const;

  std::mutex compiling_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::set<Id> structures_;   // ever compiled, for the reason of a compilation
  std::set<Id> keys_;
};

}  // namespace nd::openvino
