# node-diffusion with CUDA 13. Context: a folder with the tarballs that `npm run pack:all` makes, CUDA's among them.
#   docker build -f docker/cuda.Dockerfile -t node-diffusion:cuda build/tarballs
#   docker run --rm --gpus all -v "$PWD:/pictures" node-diffusion:cuda generate "a red apple" -o apple.png
FROM node:22-bookworm-slim AS node

# The driver comes from the host, cuBLAS from this image.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04
COPY --from=node /usr/local /usr/local

WORKDIR /app
COPY *.tgz tarballs/
RUN npm init -y >/dev/null \
  && npm pkg set type=module >/dev/null \
  && npm install --ignore-scripts --no-audit --no-fund \
    ./tarballs/node-diffusion-[0-9]*.tgz \
    ./tarballs/node-diffusion-linux-x64-[0-9]*.tgz ./tarballs/node-diffusion-linux-x64-cuda13-[0-9]*.tgz \
  && rm -rf tarballs ~/.npm

ENV NODE_DIFFUSION_CACHE=/var/cache/node-diffusion
RUN mkdir -p /var/cache/node-diffusion /pictures && chown ubuntu:ubuntu /var/cache/node-diffusion /pictures
USER ubuntu
RUN node -e "import('node-diffusion').then(({ ensureEmbeddedModel }) => ensureEmbeddedModel())"
VOLUME /pictures
WORKDIR /pictures
ENTRYPOINT ["/app/node_modules/.bin/node-diffusion"]
CMD ["doctor"]
