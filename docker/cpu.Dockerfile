# node-diffusion on the CPU, from the tarballs of `npm run pack:all`:
#   docker build -f docker/cpu.Dockerfile -t node-diffusion .
#   docker run --rm -v "$PWD:/pictures" node-diffusion generate "a red apple" -o /pictures/apple.png
# The base must have glibc: the binaries do not run on musl (Alpine).
FROM node:22-bookworm-slim

WORKDIR /app
COPY build/tarballs/*.tgz /tmp/tarballs/
RUN npm init -y > /dev/null \
  && npm install --ignore-scripts --no-audit --no-fund /tmp/tarballs/*.tgz \
  && rm -rf /tmp/tarballs /root/.npm

# The embedded model is unpacked into the image, so that containers with a read-only file system can use it.
ENV NODE_DIFFUSION_CACHE=/var/cache/node-diffusion
RUN node -e "require('node-diffusion').ensureEmbeddedModel()" && chmod -R a+rX /var/cache/node-diffusion

USER node
ENTRYPOINT ["npx", "--no-install", "node-diffusion"]
CMD ["doctor"]
