import { execFileSync } from 'node:child_process';

/** Output of a program of binutils, in plain English. */
export function read(tool, args) {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26, env: { ...process.env, LC_ALL: 'C' } });
}

/** `readelf -d`. */
export function dynamicSection(file) {
  const text = read('readelf', ['-dW', file]);
  const all = (tag) =>
    [...text.matchAll(new RegExp(`\\(${tag}\\)[^\\[]*\\[([^\\]]*)\\]`, 'g'))].map(([, value]) => value);
  return { needed: all('NEEDED'), runpath: all('RUNPATH'), rpath: all('RPATH'), soname: all('SONAME') };
}

/** Names of the sections, without their dot. */
export function sections(file) {
  return [...read('readelf', ['-SW', file]).matchAll(/\] \.([\w.-]+)/g)].map(([, name]) => name);
}

/** What ties a binary to its symbols, and stays when it is stripped. */
export function buildId(file) {
  const id = /Build ID: ([0-9a-f]+)/.exec(read('readelf', ['-nW', file]))?.[1];
  if (id === undefined) throw new Error(`${file} has no build id.`);
  return id;
}

/** The highest version of a symbol family (`GLIBC`, `GLIBCXX`) that files ask for, e.g. `2.34`; `0` when none. */
export function ceiling(files, family) {
  const versions = files.flatMap((file) =>
    [...read('readelf', ['-VW', file]).matchAll(new RegExp(`Name: ${family}_([0-9.]+)`, 'g'))].map(
      ([, value]) => value,
    ),
  );
  return versions.reduce((highest, version) => (compareVersions(version, highest) > 0 ? version : highest), '0');
}

export function compareVersions(left, right) {
  const [a, b] = [left.split('.').map(Number), right.split('.').map(Number)];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
