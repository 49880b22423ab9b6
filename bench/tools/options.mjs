import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Reads the command line; a mistake throws with what is allowed. */
export function readOptions(args, suites) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      suite: { type: 'string', multiple: true, default: [] },
      repeat: { type: 'string' },
      threads: { type: 'string', default: '0' },
      'openvino-python': { type: 'string' },
      output: { type: 'string' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const names = suites.map(({ name }) => name);
  const unknown = values.suite.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--suite ${unknown}: there are ${names.join(', ')}`);
  return {
    quick: values.quick,
    suites: values.suite.length === 0 ? names : values.suite,
    /** Undefined: each suite has its own number. */
    repeat: values.repeat === undefined ? undefined : integer('--repeat', values.repeat, 1, 1000),
    threads: integer('--threads', values.threads, 0, 1024),
    openvinoPython: values['openvino-python'],
    output: values.output === undefined ? undefined : resolve(values.output),
    check: values.check,
    help: values.help,
  };
}

function integer(name, text, low, high) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new Error(`${name} ${text}: an integer, ${low} to ${high}`);
}

export function usage(suites) {
  const list = suites.map(({ name, title }) => `  ${name.padEnd(17)}${title}`).join('\n');
  return `npm run bench -- [options]

  --suite NAME   only this suite; may be given several times
  --repeat N     repetitions (default: by suite)
  --quick        few repetitions and steps: does it work? Nothing is recorded
  --threads N    CPU threads on both sides; 0: one per physical core, or as many as the process may use (default)
  --openvino-python PYTHON  one with the peer's packages (bench/peers), for the suite openvino-python
  --output FILE  where the JSON goes (default: bench/results/<date>-<machine>.json)
  --check        exit code 1 when a goal is missed

Suites:
${list}
`;
}
