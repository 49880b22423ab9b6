// Reads from the disk cache what a model used last, on a thread of its own while the model's weights are
// read: the first evaluation of a process that was started anew then finds it ready. What is read is known by
// its key as ever, so a graph of another size or content never gets it.
//
// Nothing here fails: what cannot be read ahead is read or compiled when it is asked for. Any thread. For
// settings without a model, or without a disk cache, nothing happens.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "graph_list.h"
#include "program.h"
#include "settings.h"

namespace nd::openvino {

class ReadAhead {
 public:
  static ReadAhead& instance();

  // A backend of the model was made, or goes. With the last one goes what nobody has asked for. Import of a
  // part of a graph is waited for: OpenVINO does not stop in the middle.
  void open(const Settings& settings);
  void close(const Settings& settings) noexcept;
  // Starts the thread, unless it was started before. Graphs that would not fit into what the settings allow
  // are left out.
  void begin(const Settings& settings) noexcept;
  // What was read ahead under this key, once; null where it was not. One that is being read is waited for,
  // and `check` is called meanwhile, which may throw. One caller at a time.
  std::shared_ptr<Program> take(const Settings& settings, const Id& key, const std::function<void()>& check);
  // Memory of what was read for the model and nobody has asked for, and letting it go: what is not read yet
  // is read no more, a graph that is being read stays.
  uint64_t bytesOf(const Settings& settings) noexcept;
  void drop(const Settings& settings) noexcept;
  // The network of this graph, which is known by this key, is evaluated.
  void used(const Settings& settings, const Graph& graph, const Id& key) noexcept;
  // Ends all threads; what they have read goes. What the disk does not have yet of the lists is written.
  void stop() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { Waiting, Reading, Done };
  struct Reading {
    Id key;
    State state = State::Waiting;
    std::shared_ptr<Program> program;
  };
  struct Model {
    Settings settings;
    int backends = 0;
    bool begun = false;
    std::list<Reading> readings;
    std::vector<Listed> listed;  // as it ought to be on disk
    bool unwritten = false;
    Clock::time_point written{};
    std::jthread thread;
  };

  std::shared_ptr<Model> find(const Settings& settings);  // with the lock held
  void read(const std::stop_token& stop, Model& model);
  bool readNext(const std::stop_token& stop, Model& model);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, std::shared_ptr<Model>> models_;  // by name, place and settings
};

}  // namespace nd::openvino
