import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Requirements of a file of pip, each with its continuation lines, those of included files among them. */
export function requirements(path: string): string[] {
  const logical = readFileSync(path, 'utf8').replaceAll(/\\\n/g, ' ').split('\n');
  return logical.flatMap((line) => {
    const included = /^-r (\S+)$/.exec(line)?.[1];
    if (included !== undefined) return requirements(join(dirname(path), included));
    return line === '' || line.startsWith('#') ? [] : [line];
  });
}

/** What is wrong with a lock file of pip: requirements without a version or a hash, said twice, or a host that is named. */
export function lockProblems(path: string): string[] {
  const locked = requirements(path);
  const loose = locked.filter((line) => !/^[a-z0-9][\w.-]*==[\w.!+-]+ .*--hash=sha256:[0-9a-f]{64}/.test(line));
  const names = locked.map((line) =>
    line
      .replace(/--hash.*$/, '')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  );
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  const hosts = /:\/\/|--(?:extra-)?index-url|--find-links/.exec(readFileSync(path, 'utf8')) ?? [];
  return [...loose, ...twice, ...hosts];
}
