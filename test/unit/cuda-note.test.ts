import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { releaseArchitectures, releaseToolkit, trialReason, writeNote } from '../../scripts/package/cuda.mjs';
import { platformPackages } from '../../scripts/package/table.mjs';

const facts = { architectures: releaseArchitectures(), flags: '', cuda: releaseToolkit };

// The build id is read from an ELF file: Node itself, or a program of the system.
describe.runIf(process.platform === 'linux')('the note beside a CUDA module', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-note-'));
    copyFileSync('/bin/sh', join(folder, 'libggml-cuda.so'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('lets a build for all GPUs be released', () => {
    writeNote(folder, facts);
    expect(trialReason(folder)).toBe('');
    const note = JSON.parse(readFileSync(join(folder, 'ggml-cuda.json'), 'utf8')) as Record<string, unknown>;
    expect(note).toMatchObject({ cuda: releaseToolkit, flags: '', architectures: facts.architectures.split(';') });
  });

  it('keeps a build for one kind of GPU, a quick one, or one of another toolkit from being released', () => {
    writeNote(folder, { ...facts, architectures: '90-real' });
    expect(trialReason(folder)).toBe(`it was built for 90-real, a release is built for ${facts.architectures}`);
    writeNote(folder, { ...facts, flags: '-Ofc=max' });
    expect(trialReason(folder)).toContain('-Ofc=max');
    writeNote(folder, { ...facts, cuda: '13.9.1' });
    expect(trialReason(folder)).toBe(`it was built with CUDA 13.9.1, a release is built with ${releaseToolkit}`);
  });

  it('does not vouch for another module, and a module without one is not released', () => {
    expect(trialReason(folder)).toContain('ggml-cuda.json is not beside the module');
    writeNote(folder, facts);
    copyFileSync('/bin/ls', join(folder, 'libggml-cuda.so'));
    expect(trialReason(folder)).toBe('ggml-cuda.json tells of another build of the module');
  });

  it('is asked for by the table of packages, which holds no CUDA where none can be built', () => {
    const packages = platformPackages.filter(({ kind }) => kind === 'cuda13');
    expect(packages.map(({ name }) => name)).toEqual(['@node-diffusion/linux-x64-cuda13']);
    const [entry] = packages;
    expect(entry?.trial?.(join(folder, 'nothing'))).toBe('');
    writeNote(folder, { ...facts, architectures: '90-real' });
    expect(entry?.trial?.(folder)).toContain('it was built for 90-real');
    const taken = ['libggml-cuda.so', 'libcudart.so.13', 'ggml-cuda.json'];
    expect(entry?.needs.map((pattern) => taken.filter((name) => pattern.test(name)).length)).toEqual([1, 1, 1]);
  });
});
