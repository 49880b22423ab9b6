#include "report.h"

#include <cstdio>
#include <sstream>

#include "compiler.h"

namespace nd::openvino {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= ' ') result += c;
  }
  return result + '"';
}

}  // namespace

Report& Report::instance() {
  static Report report;
  return report;
}

void Report::compiled(double ms, const char* reason) {
  const std::lock_guard lock(mutex_);
  ++compilations_;
  compileMs_ += ms;
  lastReason_ = reason;
}

std::string Report::json() {
  const std::lock_guard lock(mutex_);
  std::ostringstream text;
  text << "{\"compilations\":" << compilations_ << ",\"compileMs\":" << compileMs_
       << ",\"lastReason\":" << quoted(lastReason_) << ",\"hits\":" << hits << ",\"evictions\":" << evictions
       << ",\"diskHits\":" << diskHits << ",\"readAhead\":" << readAhead << ",\"aheadEnded\":" << aheadEnded
       << ",\"diskWrites\":" << diskWrites << ",\"diskFailures\":" << diskFailures << ",\"runs\":" << runs
       << ",\"coveredNodes\":" << coveredNodes << ",\"uncoveredNodes\":" << uncoveredNodes << '}';
  return text.str();
}

std::string describeRuntime() {
  std::ostringstream text;
  text << "{\"version\":" << quoted(ov::get_openvino_version().buildNumber) << ",\"devices\":[";
  const char* separator = "";
  for (const std::string& name : core().get_available_devices()) {
    text << separator << "{\"name\":" << quoted(name);
    separator = ",";
    try {
      text << ",\"description\":" << quoted(core().get_property(name, ov::device::full_name))
           << ",\"precisions\":[";
      const char* comma = "";
      for (const std::string& capability : core().get_property(name, ov::device::capabilities)) {
        text << comma << quoted(capability);
        comma = ",";
      }
      text << ']';
    } catch (const std::exception&) {  // a driver that answers nothing
      text << ",\"description\":\"\",\"precisions\":[]";
    }
    text << '}';
  }
  text << "]}";
  return text.str();
}

}  // namespace nd::openvino
