# The engine's own command line tool, of the same configuration and the same object files as the addon but for
# stable-diffusion.cpp and upscaler.cpp, which are the engine's untouched. The parity tests compare against it.
set_property(SOURCE "${ND_ENGINE_DIR}/src/version.cpp" APPEND PROPERTY
  COMPILE_DEFINITIONS SDCPP_BUILD_COMMIT=${ND_ENGINE_COMMIT} SDCPP_BUILD_VERSION=${ND_ENGINE_COMMIT})
add_executable(sd-cli
  "${ND_ENGINE_DIR}/src/stable-diffusion.cpp"
  "${ND_ENGINE_DIR}/src/upscaler.cpp"
  "${ND_ENGINE_DIR}/src/version.cpp"
  "${ND_ENGINE_DIR}/examples/common/common.cpp"
  "${ND_ENGINE_DIR}/examples/common/log.cpp"
  "${ND_ENGINE_DIR}/examples/common/media_io.cpp"
  "${ND_ENGINE_DIR}/examples/cli/image_metadata.cpp"
  "${ND_ENGINE_DIR}/examples/cli/main.cpp"
  native/engine/sd_cli_backends.cpp)
target_include_directories(sd-cli SYSTEM PRIVATE "${ND_ENGINE_DIR}/examples" "${ND_ENGINE_DIR}/examples/cli")
target_link_libraries(sd-cli PRIVATE sd-engine nd-shim Threads::Threads)
target_compile_options(sd-cli PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-w>)
