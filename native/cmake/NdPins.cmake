# What the pinned source distribution (scripts/pins.mjs) contains. ggml's version stands in its own CMakeLists.
set(ND_ENGINE_PACKAGE "stable-diffusion-cpp-python 0.4.7")
set(ND_ENGINE_COMMIT "unknown")
