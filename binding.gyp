{
  # A thin front for node-gyp, electron-rebuild and prebuildify: the CMake project is the only truth.
  "targets": [
    {
      "target_name": "node-diffusion",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          # make and Ninja compare times: CMake's own check of what changed is asked every time.
          "inputs": ["CMakeLists.txt", "scripts/pins.mjs", "scripts/build.mjs"],
          "outputs": ["<(PRODUCT_DIR)/always-ask-cmake"],
          "action": ["node", "scripts/gyp-build.mjs", "--arch=<(target_arch)"],
          "message": "Building node-diffusion with CMake"
        }
      ]
    }
  ]
}
