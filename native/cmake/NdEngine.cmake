# The engine (stable-diffusion.cpp) and ggml, configured as design decision 3 says: backend modules, CPU variants picked
# at run time, library names of our own, no OpenMP. Defines:
#   sd-engine   static library of the engine without stable-diffusion.cpp itself (native/engine/upstream.cpp includes it)

if(NOT SDCPP_SOURCE_DIR AND DEFINED ENV{SDCPP_SOURCE_DIR})
  set(SDCPP_SOURCE_DIR "$ENV{SDCPP_SOURCE_DIR}")
endif()
if(SDCPP_SOURCE_DIR)
  set(ND_ENGINE_DIR "${SDCPP_SOURCE_DIR}")
else()
  set(ND_ENGINE_DIR "${CMAKE_SOURCE_DIR}/native/vendor/stable-diffusion.cpp")
endif()
if(NOT EXISTS "${ND_ENGINE_DIR}/src/stable-diffusion.cpp")
  message(FATAL_ERROR "The engine source is missing from ${ND_ENGINE_DIR}: run `node scripts/engine-source.mjs` first.")
endif()

add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-ffile-prefix-map=${ND_ENGINE_DIR}/=engine/>
                    $<$<COMPILE_LANG_AND_ID:C,GNU,Clang,AppleClang>:-ffile-prefix-map=${ND_ENGINE_DIR}/=engine/>)

set(BUILD_SHARED_LIBS ON)
set(GGML_BACKEND_DL ON)
set(GGML_NATIVE OFF)
set(GGML_OPENMP OFF)
set(GGML_CCACHE OFF)
set(GGML_BUILD_TESTS OFF)
set(GGML_BUILD_EXAMPLES OFF)
set(GGML_CPU_ALL_VARIANTS ${ND_CPU_ALL_VARIANTS})
# The engine's tensor names are longer than ggml's default of 64; every module must agree on the size of ggml_tensor.
add_compile_definitions(GGML_MAX_NAME=128)

if(ND_VULKAN)
  include(NdVulkan)
endif()
if(ND_CUDA)
  include(NdCuda)
endif()

# ggml asks git for its commit, and in our checkout would be told ours, at every commit another.
set(GIT_EXE "" CACHE FILEPATH "Not used: see native/cmake/NdEngine.cmake" FORCE)
set(GGML_ALL_WARNINGS OFF)
if(NOT MSVC) # warnings in third-party code are not ours to read
  set(ND_SAVED_C_FLAGS "${CMAKE_C_FLAGS}")
  set(ND_SAVED_CXX_FLAGS "${CMAKE_CXX_FLAGS}")
  string(APPEND CMAKE_C_FLAGS " -w")
  string(APPEND CMAKE_CXX_FLAGS " -w")
endif()
add_subdirectory("${ND_ENGINE_DIR}/ggml" "${CMAKE_BINARY_DIR}/ggml" EXCLUDE_FROM_ALL)
if(NOT MSVC)
  set(CMAKE_C_FLAGS "${ND_SAVED_C_FLAGS}")
  set(CMAKE_CXX_FLAGS "${ND_SAVED_CXX_FLAGS}")
endif()

if(ND_VULKAN)
  nd_guard_vulkan()
endif()
if(ND_CUDA)
  nd_hide_cuda()
endif()

# Where its threads wait for each other.
if(NOT MSVC)
  set_property(SOURCE "${ND_ENGINE_DIR}/ggml/src/ggml-cpu/ggml-cpu.c" DIRECTORY "${ND_ENGINE_DIR}/ggml/src"
               APPEND PROPERTY COMPILE_OPTIONS -include "${CMAKE_SOURCE_DIR}/native/cmake/relax.h")
  set_property(SOURCE "${ND_ENGINE_DIR}/ggml/src/ggml-cpu/ggml-cpu.c" DIRECTORY "${ND_ENGINE_DIR}/ggml/src"
               APPEND PROPERTY OBJECT_DEPENDS "${CMAKE_SOURCE_DIR}/native/cmake/relax.h")
endif()

# ggml's arithmetic is nine tenths of every run, and tens of times slower under a sanitizer. What hands it its work, its
# threads, its barriers and its memory (ggml-cpu.c, ggml-base) stays instrumented.
if(ND_SANITIZE AND NOT ND_SANITIZE_KERNELS AND NOT ND_CPU_ALL_VARIANTS)
  foreach(source ops.cpp vec.cpp binary-ops.cpp unary-ops.cpp quants.c repack.cpp llamafile/sgemm.cpp
                 arch/x86/quants.c arch/x86/repack.cpp)
    set_property(SOURCE "${ND_ENGINE_DIR}/ggml/src/ggml-cpu/${source}" TARGET_DIRECTORY ggml-cpu
                 APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all -O3)
  endforeach()
endif()

# glibc matches libraries by SONAME: with ggml's own names, another package's copy in the same process would be used, and
# without our version that of another version of this package, whose modules may expect other structures.
file(READ "${CMAKE_SOURCE_DIR}/package.json" ND_MANIFEST)
set_property(DIRECTORY "${CMAKE_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/package.json")
if(NOT ND_MANIFEST MATCHES "\n  \"version\": \"([0-9A-Za-z.-]+)\"")
  message(FATAL_ERROR "package.json has no version.")
endif()
set(ND_VERSION "${CMAKE_MATCH_1}")
set_target_properties(ggml PROPERTIES OUTPUT_NAME "node-diffusion-ggml-${ND_VERSION}")
set_target_properties(ggml-base PROPERTIES OUTPUT_NAME "node-diffusion-ggml-base-${ND_VERSION}")

# The engine's header-only helpers are third-party code: as system includes their warnings are not ours.
add_library(sd-thirdparty STATIC EXCLUDE_FROM_ALL "${ND_ENGINE_DIR}/thirdparty/zip.c")
target_include_directories(sd-thirdparty SYSTEM PUBLIC "${ND_ENGINE_DIR}/thirdparty")

file(GLOB ND_ENGINE_SOURCES CONFIGURE_DEPENDS
  "${ND_ENGINE_DIR}/src/*.cpp"
  "${ND_ENGINE_DIR}/src/model_io/*.cpp"
  "${ND_ENGINE_DIR}/src/tokenizers/*.cpp"
  "${ND_ENGINE_DIR}/src/tokenizers/vocab/*.cpp")
list(FILTER ND_ENGINE_SOURCES EXCLUDE REGEX "/src/(stable-diffusion|upscaler|version)\\.cpp$")

add_library(sd-engine STATIC EXCLUDE_FROM_ALL ${ND_ENGINE_SOURCES})
target_include_directories(sd-engine SYSTEM PUBLIC
  "${ND_ENGINE_DIR}" "${ND_ENGINE_DIR}/src" "${ND_ENGINE_DIR}/include")
target_link_libraries(sd-engine PUBLIC ggml sd-thirdparty)
target_compile_options(sd-engine PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-w>)
# The search for backend modules goes to nd::shim::searchBackends (backend_shim.h); log lines go to nd_log_printf
# (native/engine/log.cpp), and util.cpp keeps the engine's own function.
set(ND_SHIM_DIR "${CMAKE_SOURCE_DIR}/native/engine")
foreach(source IN LISTS ND_ENGINE_SOURCES)
  set_property(SOURCE "${source}" APPEND PROPERTY COMPILE_OPTIONS "-include${ND_SHIM_DIR}/backend_shim.h")
  set_property(SOURCE "${source}" APPEND PROPERTY OBJECT_DEPENDS "${ND_SHIM_DIR}/backend_shim.h")
  if(NOT source MATCHES "/src/util\\.cpp$")
    set_property(SOURCE "${source}" APPEND PROPERTY COMPILE_OPTIONS "-include${ND_SHIM_DIR}/engine_shim.h")
    set_property(SOURCE "${source}" APPEND PROPERTY OBJECT_DEPENDS "${ND_SHIM_DIR}/engine_shim.h")
  endif()
endforeach()
# clang with libstdc++ cannot compile its class of recursive pairs as C++20; the engine itself asks for C++17.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set_property(SOURCE "${ND_ENGINE_DIR}/src/model_io/pickle_io.cpp" APPEND PROPERTY COMPILE_OPTIONS "-std=c++17")
endif()
# The loader polls every 200 ms and prints a line break to standard output; the shim makes it poll at 2 ms and stay quiet.
set_property(SOURCE "${ND_ENGINE_DIR}/src/model.cpp" APPEND PROPERTY
  COMPILE_OPTIONS "-include${ND_SHIM_DIR}/loader_shim.h")
set_property(SOURCE "${ND_ENGINE_DIR}/src/model.cpp" APPEND PROPERTY OBJECT_DEPENDS "${ND_SHIM_DIR}/loader_shim.h")

# Commits of the pinned source, for `doctor` and release notes; the source distribution carries no git data.
include("${CMAKE_SOURCE_DIR}/native/cmake/NdPins.cmake")
