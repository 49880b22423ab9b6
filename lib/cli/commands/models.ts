import { type EmbeddedModelInfo, embeddedModelInfo } from '../../model/embedded/index.js';
import { collect } from '../collect.js';
import { writeJson } from '../context.js';
import { formatBytes } from '../progress/format.js';
import type { CommandRun } from './command.js';

/** `node-diffusion models`. */
export const models: CommandRun = async (parsed, { stdout }) => {
  const embedded = await embeddedModelInfo();
  if (collect(parsed, 'cli').json === true) writeJson(stdout, { embedded });
  else stdout.write(modelsText(embedded, stdout.columns));
  return 0;
};

export function modelsText(model: EmbeddedModelInfo, columns: number): string {
  const { name, license, data, card, concepts, size, narrow, checkpoint, taesd, unpacked } = model;
  const row = (label: string, value: string): string => `${label.padEnd(14)}${value}`;
  const later = unpacked ? '' : ', written when it is first used';
  return [
    row('embedded', `${name}, ${String(size)}x${String(size)} pixels`),
    row('licence', license),
    row('trained on', data),
    row('model card', card),
    row('weights', `${narrow.path} (${formatBytes(narrow.bytes)})`),
    row('checkpoint', `${checkpoint.path} (${formatBytes(checkpoint.bytes)}${later})`),
    row('taesd', `${taesd.path} (${formatBytes(taesd.bytes)}${later})`),
    row('can draw', listed(concepts, Math.min(columns, 110) - 14)),
    '',
  ].join('\n');
}

function listed(words: readonly string[], width: number): string {
  const lines: string[] = [''];
  for (const [i, word] of words.entries()) {
    const text = i === words.length - 1 ? word : `${word},`;
    const last = lines[lines.length - 1] ?? '';
    if (last !== '' && last.length + 1 + text.length > width) lines.push(text);
    else lines[lines.length - 1] = last === '' ? text : `${last} ${text}`;
  }
  return lines.join(`\n${' '.repeat(14)}`);
}
