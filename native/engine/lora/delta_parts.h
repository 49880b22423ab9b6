// Reading the parts of a delta, and saying so where they do not fit.
#pragma once

#include <string>

#include "delta.h"
#include "matrix.h"
#include "types.h"

namespace nd::lora {

[[noreturn]] inline void misfit(const DeltaSpec& spec, const std::string& what) {
  throw EngineError(ErrorCode::ModelCorrupt,
                    "A delta of kind " + spec.kind + " does not fit its tensor: " + what + ".");
}

inline void require(bool fits, const DeltaSpec& spec, const char* what) {
  if (!fits) misfit(spec, what);
}

inline bool has(const DeltaSpec& spec, const char* name) { return spec.parts.count(name) != 0; }

inline const PartSpec& part(const DeltaSpec& spec, const char* name) {
  const auto found = spec.parts.find(name);
  if (found == spec.parts.end()) misfit(spec, std::string("it has no ") + name);
  return found->second;
}

// A part as a matrix: its first dimension, by all others.
inline Matrix matrixOf(const DeltaSpec& spec, const LoraFile& file, const char* name) {
  const PartSpec& given = part(spec, name);
  Matrix matrix;
  matrix.rows = given.shape.empty() ? 1 : static_cast<size_t>(given.shape[0]);
  matrix.columns = matrix.rows == 0 ? 0 : elements(given) / matrix.rows;
  matrix.values = file.doubles(given);
  return matrix;
}

// Kinds that look at the whole tensor; delta.cpp chooses.
std::unique_ptr<Delta> makeTurn(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                size_t columns);
std::unique_ptr<Delta> makeDora(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                size_t columns, std::unique_ptr<Delta> inner);

}  // namespace nd::lora
