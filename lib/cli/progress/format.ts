import type { ProgressEvent } from '../../pipeline/events.js';

const labels: Readonly<Record<ProgressEvent['phase'], string>> = {
  load: 'load',
  lora: 'loras',
  encode: 'encode',
  sample: 'sample',
  decode: 'decode',
  tile: 'decode tiles',
  upscale: 'upscale',
};

/** `0:07`, `12:03`, `1:02:03`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${String(hours)}:${two(minutes)}:${two(rest)}` : `${String(minutes)}:${two(rest)}`;
}

/** `893 MB`, `12.3 GB`; powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : String(Math.round(value))} ${units[unit] ?? ''}`;
}

/** Phase and how far it is: `sample 5/20`, `load 412 MB / 893 MB`. */
export function formatPhase({ phase, step, total, bytes, totalBytes }: ProgressEvent): string {
  if (phase === 'load' && totalBytes > 0) return `load ${formatBytes(bytes)} / ${formatBytes(totalBytes)}`;
  return total > 0 ? `${labels[phase]} ${String(step)}/${String(total)}` : labels[phase];
}

/** Speed, time left and place in the batch, as far as they are known. */
export function formatDetails({ secondsPerStep, eta, image, images }: ProgressEvent): string[] {
  const details: string[] = [];
  if (images > 1 && image > 0) details.push(`image ${String(image)}/${String(images)}`);
  if (secondsPerStep > 0) details.push(formatSpeed(secondsPerStep));
  if (eta !== null && eta > 0) details.push(`ETA ${formatDuration(eta)}`);
  return details;
}

function formatSpeed(secondsPerStep: number): string {
  return secondsPerStep >= 1 ? `${secondsPerStep.toFixed(2)} s/step` : `${(1 / secondsPerStep).toFixed(2)} steps/s`;
}

export function formatPercent({ fraction }: ProgressEvent): string {
  return `${String(Math.floor(Math.min(1, Math.max(0, fraction)) * 100))}%`;
}
