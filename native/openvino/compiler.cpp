#include "compiler.h"

#include <fstream>

#include "estimate.h"
#include "ggml-impl.h"
#include "report.h"
#include "rules.h"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace nd::openvino {
namespace {

uint64_t residentBytes() {
#if defined(__linux__)
  unsigned long total = 0;
  unsigned long resident = 0;
  std::ifstream file("/proc/self/statm");
  if (!(file >> total >> resident)) return 0;
  return static_cast<uint64_t>(resident) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
#else
  return 0;
#endif
}

struct Plan {
  std::vector<Part> parts;
  std::vector<Translation> translations;  // of compiled parts, in their order
};

std::vector<Part> split(const Graph& graph, const std::map<int, std::string>& uncovered) {
  std::vector<Part> parts;
  for (int i = 0; i < graph.nodes(); ++i) {
    const bool free =
        isView(graph.node(i)) || graph.node(i)->op == GGML_OP_NONE || graph.indexOf(graph.node(i)) < 0;
    const bool covered = uncovered.count(i) == 0;
    if (parts.empty() || (!free && parts.back().compiled != covered)) {
      Part part;
      part.begin = i;
      part.compiled = covered;
      parts.push_back(std::move(part));
    }
    parts.back().end = i + 1;
  }
  return parts;
}

// Translates until every node has a place. Each round can only move nodes to the CPU, so it ends.
Plan translate(const Graph& graph, bool adaptive, std::map<int, std::string>& uncovered) {
  for (;;) {
    Plan plan;
    plan.parts = split(graph, uncovered);
    const size_t before = uncovered.size();
    for (const Part& part : plan.parts) {
      if (!part.compiled) continue;
      plan.translations.push_back(Translator(graph, part.begin, part.end, adaptive).run());
      uncovered.insert(plan.translations.back().uncovered.begin(), plan.translations.back().uncovered.end());
    }
    if (uncovered.size() == before) return plan;
  }
}

void refuseAll(const Graph& graph, int begin, int end, const std::string& why,
               std::map<int, std::string>& uncovered) {
  for (int i = begin; i < end; ++i)
    if (!isView(graph.node(i)) && graph.indexOf(graph.node(i)) >= 0) uncovered.try_emplace(i, why);
}

// False when OpenVINO refused a part, whose nodes then go to the CPU.
bool compileParts(const Graph& graph, const Settings& settings, Plan& plan,
                  std::map<int, std::string>& uncovered) {
  size_t next = 0;
  for (Part& part : plan.parts) {
    if (!part.compiled) continue;
    Translation& translation = plan.translations[next++];
    part.inputs = translation.inputs;
    part.outputs = translation.outputs;
    part.copies = translation.copies;
    if (!translation.model) continue;
    try {
      part.model = core().compile_model(translation.model, settings.device, configuration(settings));
      part.request = part.model.create_infer_request();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      GGML_LOG_WARN("openvino: nodes %d to %d are left to the CPU backend: %s\n", part.begin, part.end - 1,
                    error.what());
      refuseAll(graph, part.begin, part.end, "OpenVINO does not compile it", uncovered);
      return false;
    }
  }
  return true;
}

// What the process has come to hold, with the values between nodes, which nothing touches before the first
// run. Where it holds less than the constants alone take, memory that was freed before was used, or others
// computed.
uint64_t takenBytes(const ResidentGrowth& growth, uint64_t constants, uint64_t largestValue) {
  const uint64_t grown = growth.bytes(0);
  if (grown < constants) return compiledBytes(constants, largestValue);
  return grown + compiledBytes(0, largestValue);
}

void count(Program& program, const Graph& graph, const std::map<int, std::string>& uncovered) {
  for (const Part& part : program.parts) {
    for (int i = part.begin; i < part.end; ++i) {
      if (isView(graph.node(i)) || graph.indexOf(graph.node(i)) < 0) continue;
      ++(part.compiled ? program.covered : program.uncovered);
    }
  }
  for (const auto& [index, why] : uncovered)
    ++program.reasons[std::string(ggml_op_desc(graph.node(index))) + ": " + why];
}

}  // namespace

ov::Core& core() {
  // Never destroyed: jobs may still run while the process's static objects are.
  static ov::Core& instance = *std::make_unique<ov::Core>().release();
  return instance;
}

ov::AnyMap configuration(const Settings& settings) {
  const ov::element::Type precision = settings.precision == "bf16"  ? ov::element::bf16
                                      : settings.precision == "f16" ? ov::element::f16
                                                                    : ov::element::f32;
  ov::AnyMap config{ov::hint::inference_precision(precision),
                    ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY)};
  if (settings.device == "CPU") {
    config.insert(ov::num_streams(settings.streams > 0 ? settings.streams : 1));
    config.insert(ov::hint::enable_cpu_pinning(false));
    if (settings.threads > 0) config.insert(ov::inference_num_threads(settings.threads));
  }
  return config;
}

ResidentGrowth::ResidentGrowth()
    : before_(residentBytes()),
      begun_(Report::instance().begun.load()),
      alone_(Report::instance().running.load() <= 1) {}

uint64_t ResidentGrowth::bytes(uint64_t least) const {
  if (!alone_ || Report::instance().begun.load() != begun_) return least;
  const uint64_t now = residentBytes();
  return std::max(least, now > before_ ? now - before_ : 0);
}

std::shared_ptr<Program> compile(const Graph& graph, const Settings& settings, bool adaptive) {
  const ResidentGrowth growth;
  std::map<int, std::string> uncovered;
  if (!graph.refusal().empty()) refuseAll(graph, 0, graph.nodes(), graph.refusal(), uncovered);
  Plan plan = translate(graph, adaptive, uncovered);
  auto program = std::make_shared<Program>();
  while (!compileParts(graph, settings, plan, uncovered)) {
    program->refused = true;
    plan = translate(graph, adaptive, uncovered);
  }
  program->adaptive = adaptive;
  uint64_t constants = 0;
  for (const Translation& translation : plan.translations) {
    constants += translation.constantBytes;
    program->stored += translation.storedBytes;
  }
  for (Part& part : plan.parts)
    if (!part.compiled || !part.outputs.empty() || !part.copies.empty())
      program->parts.push_back(std::move(part));
  program->tieTo(graph);
  count(*program, graph, uncovered);
  program->bytes = takenBytes(growth, constants, largestValueOf(graph.source()));
  return program;
}

}  // namespace nd::openvino
