// Worker: order, draining at stop, refusal after stop, stop from several threads.
#include "worker.h"

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

namespace {

void runsInOrder() {
  std::vector<int> seen;
  nd::Worker worker;
  for (int i = 0; i < 1000; ++i) CHECK(worker.post([&seen, i] { seen.push_back(i); }));
  worker.stop();
  bool ordered = seen.size() == 1000;
  for (size_t i = 0; i < seen.size(); ++i) ordered = ordered && seen[i] == static_cast<int>(i);
  CHECK(ordered);
}

void refusesAfterStop() {
  nd::Worker worker;
  CHECK(!worker.stopped());
  worker.stop();
  CHECK(worker.stopped());
  bool ran = false;
  CHECK(!worker.post([&ran] { ran = true; }));
  worker.stop();  // idempotent
  CHECK(!ran);
}

void stopsFromManyThreads() {
  nd::Worker worker;
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i) worker.post([&done] { ++done; });
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back([&worker] { worker.stop(); });
  for (auto& thread : threads) thread.join();
  CHECK(done == 50);
}

void manyPosters() {
  std::atomic<int> done{0};
  {
    nd::Worker worker;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 250; ++j) worker.post([&done] { ++done; });
      });
    }
    for (auto& thread : threads) thread.join();
  }  // the destructor drains
  CHECK(done == 1000);
}

}  // namespace

int main() {
  runsInOrder();
  refusesAfterStop();
  stopsFromManyThreads();
  manyPosters();
  return nd::test::report();
}
