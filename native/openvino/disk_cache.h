// Compiled graphs on disk, one file each, off unless the settings name a directory. A file is known by the
// key that the cache in memory uses (structure, shapes, types, settings, content of every weight), and says
// inside which build of this module, which OpenVINO and which processor it was made by. It is believed only
// when every byte has its hash: what OpenVINO imports it does not check.
//
// Nothing here fails: what cannot be read is compiled, what cannot be written is left out, and a line in the
// log says so. Any thread, any number of processes: files are written beside their place and renamed.
#pragma once

#include <functional>
#include <memory>

#include "program.h"
#include "settings.h"

namespace nd::openvino {

// False where this module does not know its own build: files of another one would pass for its own.
bool diskCacheWorks();
// The program of a file, with the graph's weights bound; null when there is none that holds. One that does
// not is removed.
std::shared_ptr<Program> readProgram(const Id& key, const Graph& graph, const Settings& settings);
// Writes it unless it has no room within the bound, and removes files that were not used lately until that
// holds. `check` is called before each part, and in between while the file is read again: what it throws
// leaves no file, unless it is the CacheFileError of one that cannot be written.
void writeProgram(const Id& key, Program& program, const Settings& settings,
                  const std::function<void()>& check);

}  // namespace nd::openvino
