import { corrupt, quote, unsupported } from './errors.js';
import { checkLayout } from './layout.js';
import { readPickle } from './pickle.js';
import { breathe, type Source } from './source.js';
import { collectTensors, pickleFailure, placeTensor, type StateDict } from './torch.js';
import { limits, type FileHeader, type TensorHeader } from './types.js';
import { locateEntry, readZip, type ZipArchive } from './zip.js';

const pickleName = 'data.pkl';

function findPickle(source: Source, archive: ZipArchive): string {
  const names = [...archive.entries.keys()];
  // The engine takes every entry whose name has this text; more than one would be read differently there and here.
  const found = names.filter((name) => name.includes(pickleName));
  const [name] = found;
  if (name === undefined || (name !== pickleName && !name.endsWith(`/${pickleName}`))) {
    const first = names[0] === undefined ? '' : `; its first entry is ${quote(names[0])}`;
    throw unsupported(
      source,
      `it is a ZIP archive but not a PyTorch checkpoint, for it has no ${pickleName}${first}`,
      'If it is a packed download, unpack it and give the model file inside.',
    );
  }
  if (found.length > 1)
    throw corrupt(
      source,
      `the ZIP archive has ${String(found.length)} entries named like ${pickleName}`,
      archive.directory,
    );
  const directory = name.slice(0, -pickleName.length);
  if (names.some((other) => other.startsWith(`${directory}code/`))) {
    throw unsupported(
      source,
      'it is a TorchScript archive',
      'Export the state dictionary with torch.save, or convert it to safetensors.',
    );
  }
  return directory;
}

async function stateDict(source: Source, archive: ZipArchive, directory: string): Promise<StateDict> {
  const entry = archive.entries.get(`${directory}${pickleName}`);
  if (entry === undefined) throw corrupt(source, `${pickleName} is missing`, archive.directory);
  if (entry.size > limits.pickleBytes)
    throw corrupt(
      source,
      `${pickleName} is ${String(entry.size)} bytes long, more than ${String(limits.pickleBytes)}`,
      entry.header,
    );
  const start = await locateEntry(source, archive, entry);
  const bytes = await source.read(start, entry.size, pickleName);
  try {
    return collectTensors(source, readPickle(bytes).value, start);
  } catch (error) {
    throw pickleFailure(source, error, start);
  }
}

async function checkByteOrder(source: Source, archive: ZipArchive, directory: string): Promise<void> {
  const entry = archive.entries.get(`${directory}byteorder`);
  if (entry === undefined || entry.size > 16) return;
  const text = await source.read(await locateEntry(source, archive, entry), entry.size, 'byteorder');
  if (text.toString('latin1').trim() === 'big')
    throw unsupported(source, 'its weights are big-endian', 'Save it again on a little-endian machine.');
}

/**
 * Reads the head of what torch.save writes since PyTorch 1.6: a ZIP archive of `data.pkl` and one stored entry of raw
 * weights per storage. Tensors may share a storage (tied weights); storages may not share bytes.
 */
export async function readTorchZip(source: Source): Promise<FileHeader> {
  const archive = await readZip(source);
  const directory = findPickle(source, archive);
  await checkByteOrder(source, archive, directory);
  const state = await stateDict(source, archive, directory);
  const starts = new Map<string, number>();
  const ranges: TensorHeader[] = [];
  for (const { storage } of state.tensors.values()) {
    if (starts.has(storage.key)) continue;
    const name = `${directory}data/${storage.key}`;
    const entry = archive.entries.get(name);
    if (entry === undefined)
      throw corrupt(source, `the ZIP entry ${quote(name)} with weights is missing`, archive.directory);
    if (entry.size < storage.bytes)
      throw corrupt(
        source,
        `the ZIP entry ${quote(name)} has ${String(entry.size)} bytes, its storage needs ${String(storage.bytes)}`,
        entry.header,
      );
    const offset = await locateEntry(source, archive, entry);
    starts.set(storage.key, offset);
    ranges.push({ name, dtype: storage.dtype, shape: [], offset, bytes: entry.size });
  }
  checkLayout(source, ranges);
  await breathe(source.signal);
  const tensors = [...state.tensors].map(([name, tensor]) =>
    placeTensor(source, name, tensor, starts.get(tensor.storage.key) ?? NaN),
  );
  return { format: 'ckpt', path: source.path, bytes: source.size, tensors, metadata: state.metadata };
}
