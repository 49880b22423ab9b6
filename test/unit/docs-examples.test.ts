import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
);

interface Example {
  /** Page and line of the fence, for messages. */
  readonly where: string;
  /** File name that the compiler is told. */
  readonly file: string;
  readonly text: string;
}

/** Every ```ts block of a page. Blank lines in front keep the compiler's line numbers those of the page. */
function examplesOf(page: string): Example[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  const examples: Example[] = [];
  let start = -1;
  for (const [index, line] of lines.entries()) {
    if (start < 0 && /^```ts\s*$/.test(line)) start = index;
    else if (start >= 0 && line.startsWith('```')) {
      const code = lines.slice(start + 1, index).join('\n');
      const file = join(root, 'docs-examples', `${page.replace(/\W/g, '-')}-${String(start + 1)}.ts`);
      examples.push({
        where: `${page}:${String(start + 1)}`,
        file,
        text: `${'\n'.repeat(start + 1)}${code}\nexport {};\n`,
      });
      start = -1;
    }
  }
  return examples;
}

const examples = pages.flatMap(examplesOf);
/** `runtime` and `model`, which the pages set up once. An example that declares its own shadows them. */
const ambient = join(root, 'docs-examples', 'ambient.d.ts');
const index = join(root, 'lib', 'index.ts');

let program: ts.Program;

beforeAll(() => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const { rootDir: _, outDir: __, ...rest } = options;
  const settings: ts.CompilerOptions = { ...rest, noEmit: true, paths: { 'node-diffusion': [index] } };
  const virtual = new Map(examples.map(({ file, text }) => [file, text]));
  virtual.set(
    ambient,
    "declare const runtime: import('node-diffusion').Runtime;\ndeclare const model: import('node-diffusion').Model;\n",
  );
  const host = ts.createCompilerHost(settings);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => virtual.has(path) || fileExists(path);
  host.readFile = (path) => virtual.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...others) => {
    const text = virtual.get(path);
    return text === undefined ? getSourceFile(path, version, ...others) : ts.createSourceFile(path, text, version);
  };
  program = ts.createProgram([index, ...virtual.keys()], settings, host);
}, 20_000);

function problems(file: string): string[] {
  const source = program.getSourceFile(file);
  if (source === undefined) return [`${file} is not part of the program`];
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((diagnostic) => {
    const line = source.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line + 1;
    return `line ${String(line)}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`;
  });
}

describe('examples in the pages', () => {
  it('are there', () => {
    const withExamples = new Set(examples.map(({ where }) => where.split(':')[0]));
    for (const page of [
      ...[
        'README.md',
        'docs/api.md',
        'docs/errors.md',
        'docs/models.md',
        'docs/getting-started.md',
        'docs/backends.md',
      ],
      ...['docs/electron.md', 'docs/docker.md', 'docs/troubleshooting.md'],
    ]) {
      expect(withExamples, page).toContain(page);
    }
  });

  it.each(examples.map((example) => [example.where, example] as const))('%s type-checks', (_where, { file }) => {
    expect(problems(file)).toEqual([]);
  });

  it('see typed runtime and model, or every one that uses them would pass', () => {
    const checker = program.getTypeChecker();
    const names = (program.getSourceFile(ambient)?.statements ?? []).flatMap((statement) =>
      ts.isVariableStatement(statement) ? [...statement.declarationList.declarations] : [],
    );
    expect(names.map((name) => checker.typeToString(checker.getTypeAtLocation(name)))).toEqual(['Runtime', 'Model']);
  });
});

describe('docs', () => {
  it('name every exported value', () => {
    const checker = program.getTypeChecker();
    const source = program.getSourceFile(index);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    const values = (module === undefined ? [] : checker.getExportsOfModule(module)).filter((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return (target.flags & ts.SymbolFlags.Value) !== 0;
    });
    expect(values.length).toBeGreaterThan(10);
    const text = pages.map((page) => readFileSync(join(root, page), 'utf8')).join('\n');
    const unnamed = values.map(({ name }) => name).filter((name) => !new RegExp(`\\b${name}\\b`).test(text));
    expect(unnamed).toEqual([]);
  });
});
