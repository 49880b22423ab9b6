import type { ModelInspection } from '../../model/inspect.js';
import { inspectModel } from '../../sdk/inspect.js';
import { collect } from '../collect.js';
import { writeJson } from '../context.js';
import { formatBytes } from '../progress/format.js';
import { usageError } from '../usage-error.js';
import type { CommandRun } from './command.js';

/** `node-diffusion inspect FILE`. */
export const inspect: CommandRun = async (parsed, context) => {
  const { json, tensors, binary } = collect(parsed, 'cli');
  const [file, ...more] = parsed.operands;
  if (file === undefined || more.length > 0) {
    throw usageError(
      'FILE',
      `inspect needs one file, got ${String(parsed.operands.length)}.`,
      'Usage: node-diffusion inspect FILE',
    );
  }
  const signal = context.interrupt();
  const options = { signal, ...(typeof binary === 'string' ? { binary } : {}) };
  const found = await inspectModel(file, options);
  if (json === true) writeJson(context.stdout, inspectionJson(found, tensors === true));
  else context.stdout.write(inspectionText(found, tensors === true));
  return 0;
};

/** The inspection; the list of tensors, which may be long, only on request, their number always. */
export function inspectionJson({ tensors, ...facts }: ModelInspection, listTensors: boolean): object {
  return { ...facts, tensorCount: tensors.length, ...(listTensors ? { tensors } : {}) };
}

/** Longest value of a metadata entry that is shown whole. */
const longestValue = 100;

export function inspectionText(found: ModelInspection, listTensors: boolean): string {
  const { files, architecture, kind, format, components, tensors, parameters, bytes, dtypes, metadata } = found;
  const row = (name: string, value: string): string => `${name.padEnd(14)}${value}`;
  const lines = [
    ...files.map(({ path, bytes: size }) => row('file', `${path} (${formatBytes(size)})`)),
    row('format', format),
    row('kind', kind),
    row('architecture', architecture ?? 'unknown'),
    row('components', components.length === 0 ? 'none known' : components.join(', ')),
    row('tensors', `${String(tensors.length)}, ${formatCount(parameters)} parameters, ${formatBytes(bytes)}`),
    ...Object.entries(dtypes).map(([dtype, { tensors: count, bytes: size }]) =>
      row('', `${dtype}: ${String(count)} tensors, ${formatBytes(size)}`),
    ),
    ...Object.entries(metadata).map(([key, value], i) => row(i === 0 ? 'metadata' : '', `${key}: ${shorten(value)}`)),
  ];
  if (listTensors) {
    lines.push('', ...tensors.map(({ name, dtype, shape }) => `${name}  ${dtype} [${shape.join(', ')}]`));
  }
  return `${lines.join('\n')}\n`;
}

function shorten(value: unknown): string {
  // Control characters of a file must not reach the terminal; JSON writes them as escapes.
  const text = (typeof value === 'string' ? JSON.stringify(value).slice(1, -1) : JSON.stringify(value)).replace(
    /[\u007f-\u009f]/g,
    '?',
  );
  return text.length > longestValue ? `${text.slice(0, longestValue - 1)}…` : text;
}

/** `859.5 million`. */
function formatCount(count: number): string {
  if (count >= 999_950_000) return `${(count / 1e9).toFixed(1)} billion`;
  return count >= 100_000 ? `${(count / 1e6).toFixed(1)} million` : String(count);
}
