// Our own look at a model file before the engine's readers see it. They trust counts, lengths and types of
// the file: some read them into allocations, some divide by them, some assert. What passes here is bounded
// and consistent, and is of the container that the engine will take it for. No weights are read, nothing in a
// pickle is executed. Any thread.
#pragma once

#include <string>

namespace nd {

// Blocks of any network the engine builds; it makes as many as the largest number in a tensor's name says.
inline constexpr int kMaxBlocks = 512;
inline constexpr size_t kMaxTensorName = 1024;
inline constexpr size_t kMaxTensors = 262'144;

// How the engine reads a file.
enum class Container { Diffusers, Gguf, Safetensors, TorchZip, TorchLegacy };

// Throws EngineError: ModelNotFound, ModelCorrupt or ModelUnsupported, naming the file and what is wrong with
// it. A directory is taken for a diffusers model, as the engine does.
Container checkModelFile(const std::string& path);

// "name.12.weight" with a number that no network has.
bool hasExcessiveBlock(const std::string& name);

}  // namespace nd
