import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Looks at the folder of a control group, of version 1 or 2. */
export type OfGroup = (folder: string, version: 1 | 2) => number | undefined;

/**
 * What is found in each control group of this process, from its own up to the root, of version 2 and 1.
 * @param root where `proc` and `sys` lie; for tests.
 * @param controller of version 1, whose groups lie in folders of their own.
 */
export function ofGroups(root: string, controller: 'memory' | 'cpu', of: OfGroup): number[] {
  const lines = (read(join(root, 'proc/self/cgroup')) ?? '').split('\n');
  const found: (number | undefined)[] = [];
  for (const line of lines) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === '') continue;
    if (controllers === '') {
      for (const mount of ['sys/fs/cgroup', 'sys/fs/cgroup/unified'])
        found.push(...upFrom(join(root, mount), path, 2, of));
    } else if (controllers.split(',').includes(controller)) {
      // By its own name, or by those that it shares a folder with.
      for (const mount of new Set([controller, controllers]))
        found.push(...upFrom(join(root, 'sys/fs/cgroup', mount), path, 1, of));
    }
  }
  return found.filter((value) => value !== undefined);
}

/** The group and those above it. In a container the group's path is often not mounted: its root then stands for it. */
function upFrom(mount: string, path: string, version: 1 | 2, of: OfGroup): (number | undefined)[] {
  const found: (number | undefined)[] = [];
  for (let group = path; ; group = dirname(group)) {
    found.push(of(join(mount, group), version));
    if (group === '/' || group === '.') return found;
  }
}

/** A text file; undefined where it cannot be read. */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
