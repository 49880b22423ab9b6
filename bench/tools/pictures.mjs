import { createHash } from 'node:crypto';
import sharp from 'sharp';

/** Times of two programs compare only when they did the same work: the pixels must be equal. */
export async function samePicture({ addon, sdCli }) {
  const [ours, theirs] = await Promise.all([addon, sdCli].map(pixels));
  if (ours !== theirs) throw new Error('The addon and sd-cli made different pictures: their times do not compare.');
}

async function pixels(file) {
  const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return createHash('sha256').update(`${info.width}x${info.height}x${info.channels}`).update(data).digest('hex');
}
