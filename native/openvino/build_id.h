// Which build of this module the process runs.
#pragma once

#include <optional>

#include "hash.h"

namespace nd::openvino {

// Of the image that is mapped, by the note that the linker has put in it: the file that it came from may have
// been replaced since. Empty where it has no such note.
std::optional<Id> ownBuild();

}  // namespace nd::openvino
