// Compiled graphs on disk, one file each, off unless the settings name a directory. A file is known by the
// key that the cache in memory uses (structure, shapes, types, settings, content of every weight), and says
// inside which build of this module, which OpenVINO and which processor it was made by. It is believed only
// when every byte has its hash: what OpenVINO imports it does not check.
//
// Nothing here fails: what cannot be read is compiled, what cannot be written is left out, and a line in the
// log says so. Any thread, any number of processes: files are written beside their place and renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "program.h"
#include "settings.h"

namespace nd::openvino {

// False where this module does not know its own build: files of another one would pass for its own.
bool diskCacheWorks();
// What a file must have been made by: this module, this OpenVINO, this processor.
Id makerOf(const Settings& settings);
// The file of a graph by this maker; there may be none.
std::filesystem::path graphFile(const Id& key, const Id& maker, const Settings& settings);
// What OpenVINO makes of a file, not yet known to fit any graph; null when there is none that holds, or no
// memory for it. One that does not hold is removed. `alone`: nothing else takes memory meanwhile, so that
// what this took can be measured. `check` is called before each part and now and then in between; what it
// throws goes on.
std::shared_ptr<Program> importProgram(const Id& key, const Settings& settings, bool alone,
                                       const std::function<void()>& check);
// The program of a file with the graph's weights bound, where it was read ahead that one; null when there is
// none that holds and fits. One that does not is removed. `check` is as above, and called while a thread that
// reads ahead is waited for.
std::shared_ptr<Program> readProgram(const Id& key, const Graph& graph, const Settings& settings,
                                     const std::function<void()>& check);
// Writes it unless it has no room within the bound, and removes files that were not used lately until that
// holds. `check` is called before each part, and in between while the file is read again: what it throws
// leaves no file, unless it is the CacheFileError of one that cannot be written.
void writeProgram(const Id& key, Program& program, const Settings& settings,
                  const std::function<void()>& check);

}  // namespace nd::openvino
