// Draws the pictures of the README, docs/inpaint.md, docs/hires.md, docs/lora.md and docs/models.md with the embedded model,
// after npm run build: node scripts/pictures.mjs [start] [inpaint] [hires] [lora] [nano]. Takes some minutes on two cores.
import { join } from 'node:path';
import sharp from 'sharp';
import { createRuntime, embeddedModelInfo } from '../dist/index.js';

const folder = new URL('../docs/images/', import.meta.url).pathname;
const edge = 128;
const gap = 8;
const settings = { width: edge, height: edge, steps: 8, cfgScale: 3, sampler: 'euler_a', seed: 1 };

const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
const model = await runtime.loadModel();

const first = ({ images }) => images[0];
const draw = async (prompt, change = {}) => first(await model.txt2img({ ...settings, prompt, ...change }));

/** White in a box, right and bottom outside. */
function box(size, left, top, right, bottom) {
  const inside = (x, y) => x >= left && x < right && y >= top && y < bottom;
  const data = Uint8Array.from({ length: size * size }, (_, i) => (inside(i % size, Math.floor(i / size)) ? 255 : 0));
  return { width: size, height: size, channels: 1, data };
}

const png = ({ width, height, channels, data }) =>
  sharp(data, { raw: { width, height, channels } }).toColourspace('srgb').png().toBuffer();

/** Pictures of one height beside each other. */
async function strip(name, pictures) {
  const width = pictures.reduce((sum, picture) => sum + picture.width + gap, gap);
  const height = pictures[0].height + 2 * gap;
  const layers = [];
  let left = gap;
  for (const picture of pictures) {
    layers.push({ input: await png(picture), left, top: gap });
    left += picture.width + gap;
  }
  const sheet = sharp({ create: { width, height, channels: 3, background: '#cccccc' } }).composite(layers);
  await sheet.png({ compressionLevel: 9, palette: true, quality: 95 }).toFile(join(folder, name));
}

async function inpaint() {
  const apple = await draw('a red apple');
  const mask = box(edge, 8, 4, 120, 124);
  const contents = [];
  for (const maskedContent of ['original', 'fill', 'latent noise', 'latent nothing']) {
    const request = { ...settings, prompt: 'a lemon', image: apple, mask, maskBlur: 2, maskedContent };
    contents.push(first(await model.inpaint({ ...request, denoisingStrength: 0.25 })));
  }
  await strip('inpaint-content.png', [apple, mask, ...contents]);

  const objects = [apple, await draw('a tangerine'), await draw('a cookie'), await draw('a lemon')];
  const table = sharp({ create: { width: 2 * edge, height: 2 * edge, channels: 3, background: 'white' } });
  const layers = await Promise.all(
    objects.map(async (object, i) => ({ input: await png(object), left: (i % 2) * edge, top: i < 2 ? 0 : edge })),
  );
  const { data } = await table.composite(layers).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const still = { width: 2 * edge, height: 2 * edge, channels: 3, data: new Uint8Array(data) };
  const spot = box(2 * edge, 132, 2, 254, 124);
  const changed = await model.inpaint({
    ...settings,
    ...{ prompt: 'a strawberry', image: still, mask: spot, maskBlur: 2, maskedContent: 'latent noise' },
    ...{ inpaintArea: 'only masked', maskedPadding: 8, denoisingStrength: 1 },
  });
  await strip('inpaint-area.png', [still, spot, first(changed)]);

  const variations = [];
  for (const variationStrength of [0, 0.25, 0.5, 0.75, 1])
    variations.push(
      await draw('small red apple', { sampler: 'euler', steps: 16, variationSeed: 2, variationStrength }),
    );
  await strip('variation.png', variations);
}

/** A first pass, and for each upscaler the enlarged picture and two second passes. */
async function hires() {
  const request = { ...settings, prompt: 'red apple', steps: 10, sampler: 'euler', seed: 6 };
  const { images: picked } = await model.firstPass(request);
  const [{ image: small }] = picked;
  const large = 1.5 * edge;
  const shown = await sharp(await png(small))
    .resize(large, large, { kernel: 'nearest' })
    .removeAlpha()
    .raw()
    .toBuffer();
  const direct = first(await model.txt2img({ ...request, width: large, height: large }));
  await strip('hires-direct.png', [{ width: large, height: large, channels: 3, data: shown }, direct]);
  for (const upscaler of ['latent', 'latent-nearest-exact', 'lanczos']) {
    const pictures = [];
    for (const denoisingStrength of [0, 0.3, 0.5])
      pictures.push(first(await model.hires(picked, { scale: 1.5, upscaler, denoisingStrength, steps: 5 })));
    await strip(`hires-${upscaler}.png`, pictures);
  }
}

/** What the README's first command draws. */
async function start() {
  await (await model.txt2img({ prompt: 'a red apple', seed: 1 })).images[0].save(join(folder, 'red-apple.png'));
}

/** Without LoRA, with the style LoRA at 0.5 and 1, and without it again; the digest of the weights at each. */
async function lora() {
  const { companions } = await embeddedModelInfo();
  for (const prompt of ['a red apple', 'a rocket']) {
    const pictures = [];
    for (const weight of [undefined, 0.5, 1, undefined]) {
      await model.loras.set(weight === undefined ? [] : [{ path: companions.styleLora, weight }]);
      const { sha256 } = await model.weightsDigest();
      process.stdout.write(`${prompt}, weight ${weight ?? 'none'}: ${sha256}\n`);
      pictures.push(await draw(prompt, { sampler: 'euler', steps: 16 }));
    }
    await strip(`lora-${prompt.split(' ').at(-1)}.png`, pictures);
  }
}

/** The embedded model at 64x64, 128x128, and 256x256 by the hires pass. */
async function nano() {
  const names = ['cat face', 'red apple', 'rocket', 'cactus', 'fox', 'guitar'];
  const request = { ...settings, sampler: 'euler', steps: 16 };
  const hires = { scale: 2, upscaler: 'lanczos', denoisingStrength: 0.2, steps: 6 };
  for (const [name, change] of Object.entries({ 64: { width: 64, height: 64 }, 128: {}, 256: { hires } })) {
    const pictures = [];
    for (const prompt of names) pictures.push(await draw(prompt, { ...request, ...change }));
    await strip(`nano-${name}.png`, pictures);
  }
}

const pages = { start, inpaint, hires, lora, nano };
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(pages);
for (const page of wanted) await pages[page]();
await runtime.dispose();
