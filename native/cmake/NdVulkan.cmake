# ggml's Vulkan backend as a module beside the others (-DND_VULKAN=ON). Included before ggml: says where the package of
# scripts/vulkan-package.mjs is, unless VULKAN_SDK names another installation, as FindVulkan understands it.
set(ND_VULKAN_DIR "${CMAKE_SOURCE_DIR}/native/vendor/vulkan")
if(EXISTS "${ND_VULKAN_DIR}/bin/glslc" AND NOT DEFINED ENV{VULKAN_SDK})
  set(Vulkan_INCLUDE_DIR "${ND_VULKAN_DIR}/include" CACHE PATH "Vulkan headers")
  set(Vulkan_LIBRARY "${ND_VULKAN_DIR}/lib/libvulkan.so" CACHE FILEPATH "Vulkan loader to link with")
  set(Vulkan_GLSLC_EXECUTABLE "${ND_VULKAN_DIR}/bin/glslc" CACHE FILEPATH "Shader compiler")
elseif(NOT DEFINED ENV{VULKAN_SDK} AND NOT Vulkan_INCLUDE_DIR)
  message(FATAL_ERROR "Vulkan's headers and glslc are missing from ${ND_VULKAN_DIR}: run "
    "`node scripts/vulkan-package.mjs` first, or set VULKAN_SDK.")
endif()
set(GGML_VULKAN ON)

# Called after ggml: our module.cpp takes the place of ggml-vulkan.cpp, which it includes, so that an exception or a failed
# assertion of the backend ends a job and not the process.
function(nd_guard_vulkan)
  get_target_property(sources ggml-vulkan SOURCES)
  list(REMOVE_ITEM sources ggml-vulkan.cpp)
  list(APPEND sources "${CMAKE_SOURCE_DIR}/native/vulkan/module.cpp")
  set_target_properties(ggml-vulkan PROPERTIES SOURCES "${sources}")
  # Of this one source alone: the shaders beside it take minutes to compile, and are compiled again when their flags change.
  set_source_files_properties("${CMAKE_SOURCE_DIR}/native/vulkan/module.cpp" TARGET_DIRECTORY ggml-vulkan PROPERTIES
    INCLUDE_DIRECTORIES "${CMAKE_SOURCE_DIR}/native/engine;${ND_ENGINE_DIR}/ggml/src;${ND_ENGINE_DIR}/ggml/src/ggml-vulkan")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Drivers leave threads behind that run code of this module.
    target_link_options(ggml-vulkan PRIVATE -Wl,-z,nodelete)
  endif()
endfunction()
