import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEnd, root, runChild, said } from '../support/child/run.js';

const exec = promisify(execFile);
const release = join(root, 'build', 'Release');

describe('making the prebuilds', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-prebuild-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('changes no file of build/Release, and a program that computes with them meanwhile goes on', async () => {
    const flag = join(folder, 'go on');
    writeFileSync(flag, '');
    const before = binaries();
    expect(before.map(({ name }) => name)).toContain('node-diffusion.node');
    let made: Promise<unknown> | undefined;
    const end = await runChild('while.mjs', [join(release, 'node-diffusion.node'), flag], {
      limit: 240,
      onLine: (line) => {
        // Its first picture is there, so everything is mapped.
        if (line.pictures === 1) made = again().finally(() => rmSync(flag));
      },
    });
    await made;
    expect(end.signal, describeEnd(end)).toBeNull();
    expect(end.code, describeEnd(end)).toBe(0);
    const { pictures, different } = said(end, 'done') as { pictures: number; different: number };
    process.stdout.write(`pictures made meanwhile: ${String(pictures - 2)}\n`);
    expect(pictures).toBeGreaterThan(2);
    expect(different).toBe(1);
    expect(binaries()).toEqual(before);
  });

  /** `npm run prebuilds`, although they are there already. */
  function again(): Promise<unknown> {
    rmSync(join(root, 'build', 'stamps', 'prebuilds.txt'), { force: true });
    return exec(process.execPath, [join(root, 'scripts', 'prebuild.mjs')], { maxBuffer: 1 << 26 });
  }

  /** Each file with what tells whether it is the same one, never written to. */
  function binaries(): { name: string; inode: number; size: number; changed: number }[] {
    return readdirSync(release).map((name) => {
      const { ino: inode, size, ctimeMs: changed } = statSync(join(release, name));
      return { name, inode, size, changed };
    });
  }
});
