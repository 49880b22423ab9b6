#include "build_id.h"

#include <cstring>

#if defined(__linux__)
#include <elf.h>
#include <link.h>
#endif

namespace nd::openvino {
namespace {

#if defined(__linux__)

struct Search {
  ElfW(Addr) code;
  std::optional<Id> found;
};

size_t padded(size_t bytes, size_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

std::optional<Id> buildIdOf(const char* notes, size_t bytes, size_t alignment) {
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
    ElfW(Nhdr) note{};
    std::memcpy(&note, notes + at, sizeof(note));
    const size_t name = at + sizeof(note);
    const size_t value = name + padded(note.n_namesz, alignment);
    if (value + note.n_descsz > bytes) return std::nullopt;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) && note.n_descsz > 0 &&
        std::memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
      Hasher hasher;
      hasher.add(notes + value, note.n_descsz);
      return hasher.finish();
    }
    at = value + padded(note.n_descsz, alignment);
  }
  return std::nullopt;
}

// Looks at one image of the process; not 0 ends the search.
int look(dl_phdr_info* image, size_t /*bytes*/, void* given) {
  auto& search = *static_cast<Search*>(given);
  bool own = false;
  for (int i = 0; i < image->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = image->dlpi_phdr[i];
    const ElfW(Addr) begin = image->dlpi_addr + part.p_vaddr;
    own = own || (part.p_type == PT_LOAD && search.code >= begin && search.code < begin + part.p_memsz);
  }
  if (!own) return 0;
  for (int i = 0; i < image->dlpi_phnum && !search.found; ++i) {
    const ElfW(Phdr)& part = image->dlpi_phdr[i];
    if (part.p_type != PT_NOTE) continue;
    search.found = buildIdOf(reinterpret_cast<const char*>(image->dlpi_addr + part.p_vaddr), part.p_memsz,
                             part.p_align == 8 ? 8 : 4);
  }
  return 1;
}

#endif

}  // namespace

std::optional<Id> ownBuild() {
#if defined(__linux__)
  Search search{reinterpret_cast<ElfW(Addr)>(&ownBuild), {}};
  dl_iterate_phdr(look, &search);
  return search.found;
#else
  return std::nullopt;
#endif
}

}  // namespace nd::openvino
