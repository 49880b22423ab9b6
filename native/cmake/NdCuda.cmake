# ggml's CUDA backend as a module beside the others (-DND_CUDA=ON). Included before ggml: says where the toolkit of
# scripts/cuda-package.mjs is, unless CUDAToolkit_ROOT names another.
set(ND_CUDA_DIR "${CMAKE_SOURCE_DIR}/native/vendor/cuda")
if(NOT CUDAToolkit_ROOT AND NOT DEFINED ENV{CUDAToolkit_ROOT})
  if(NOT EXISTS "${ND_CUDA_DIR}/bin/nvcc")
    message(FATAL_ERROR "The CUDA toolkit is missing from ${ND_CUDA_DIR}: run `node scripts/cuda-package.mjs` first, or "
      "set CUDAToolkit_ROOT.")
  endif()
  set(CUDAToolkit_ROOT "${ND_CUDA_DIR}" CACHE PATH "CUDA toolkit")
  set(CMAKE_CUDA_COMPILER "${ND_CUDA_DIR}/bin/nvcc" CACHE FILEPATH "CUDA compiler")
endif()
# Everything that nvcc 13 compiles for, and code for later GPUs to be compiled by their driver.
set(ND_CUDA_ARCHITECTURES "75-virtual;80-virtual;86-real;89-real;90-real;120a-real;120-virtual" CACHE STRING
  "GPUs that the CUDA module is compiled for")
set(CMAKE_CUDA_ARCHITECTURES "${ND_CUDA_ARCHITECTURES}")
set(GGML_CUDA ON)
# Without it the module is linked with the driver's libcuda, of which there is no stub, and machines without a driver could
# not load it. It costs the growing of ggml's memory pool in place.
set(GGML_CUDA_NO_VMM ON)
# As for C and C++: asserts name their file, without the folder of the machine that built it.
foreach(map "${CMAKE_SOURCE_DIR}/=" "${ND_ENGINE_DIR}/=engine/")
  add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-ffile-prefix-map=${map}>")
endforeach()

# Called after ggml. The module hands out what ggml asks it for and nothing else: its templates have static variables, which
# glibc keeps once for the whole process, so another package's copy of this backend would share them and skip its own set-up.
function(nd_hide_cuda)
  set(script "${CMAKE_SOURCE_DIR}/native/cmake/cuda.exports")
  target_link_options(ggml-cuda PRIVATE "-Wl,--version-script=${script}")
  set_property(TARGET ggml-cuda APPEND PROPERTY LINK_DEPENDS "${script}")
endfunction()
