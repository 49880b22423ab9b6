# node-diffusion on the CPU. Context: a folder with the tarballs that `npm run pack:all` makes.
#   docker build -f docker/cpu.Dockerfile -t node-diffusion build/tarballs
FROM node:22-bookworm-slim

WORKDIR /app
COPY *.tgz tarballs/
# Only the main package and the CPU's: no script runs, nothing is compiled.
RUN npm init -y >/dev/null \
  && npm pkg set type=module >/dev/null \
  && npm install --ignore-scripts --no-audit --no-fund \
    ./tarballs/node-diffusion-[0-9]*.tgz ./tarballs/node-diffusion-linux-x64-[0-9]*.tgz \
  && rm -rf tarballs ~/.npm

ENV NODE_DIFFUSION_CACHE=/var/cache/node-diffusion
RUN mkdir -p /var/cache/node-diffusion /pictures && chown node:node /var/cache/node-diffusion /pictures
USER node
# The embedded model is unpacked now and not at the first picture.
RUN node -e "import('node-diffusion').then(({ ensureEmbeddedModel }) => ensureEmbeddedModel())"
VOLUME /pictures
WORKDIR /pictures
ENTRYPOINT ["/app/node_modules/.bin/node-diffusion"]
CMD ["doctor"]
