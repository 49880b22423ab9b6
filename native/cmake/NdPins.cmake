# What the pinned source distribution (scripts/pins.mjs) contains. ggml's version stands in its own CMakeLists.
set(ND_ENGINE_PACKAGE "stable-diffusion-cpp-python 0.4.7")
# The distribution names no commit; its own hash pins the source just as exactly.
set(ND_ENGINE_COMMIT "sdist-998d1957260d")
