import { formatBytes } from '../progress/format.js';
import type { DoctorReport } from './gather.js';

function row(name: string, value: string): string {
  return `  ${name.padEnd(15)} ${value}`;
}

/** The report for people: sections with a row for each fact, problems last. */
export function reportText(report: DoctorReport): string {
  const lines = [
    ...versionLines(report),
    '',
    ...systemLines(report),
    '',
    ...addonLines(report),
    '',
    ...computeLines(report),
    '',
    ...modelLines(report),
    '',
    ...verdict(report),
  ];
  return `${lines.join('\n')}\n`;
}

function versionLines({ package: own, node, napi, versions }: DoctorReport): string[] {
  const lines = ['Versions', row('node-diffusion', own), row('Node', `${node} (Node-API ${String(napi)})`)];
  if (versions === null) return lines;
  const { engine, engineCommit, ggml, ggmlCommit, compiler } = versions;
  return [
    ...lines,
    row('engine', `stable-diffusion.cpp from ${engine} (${engineCommit})`),
    row('ggml', `${ggml} (${ggmlCommit})`),
    row('compiler', compiler),
  ];
}

function systemLines({ platform, system, cpuFeatures }: DoctorReport): string[] {
  const { kernel, libc, cpu, cores, memoryFree, memoryTotal } = system;
  const features = Object.keys(cpuFeatures).filter((name) => cpuFeatures[name] === true);
  return [
    'System',
    row('platform', [platform, `kernel ${kernel}`, ...(libc === null ? [] : [libc])].join(', ')),
    row('CPU', `${cpu}, ${String(cores)} threads`),
    ...(features.length === 0 ? [] : [row('CPU features', features.join(' '))]),
    row('memory', `${formatBytes(memoryFree)} free of ${formatBytes(memoryTotal)}`),
  ];
}

function addonLines({ binary, attempts }: DoctorReport): string[] {
  const looked = attempts.map(({ source, path, problem }) =>
    row(source, `${path}: ${problem === '' ? 'used' : problem}`),
  );
  return [
    'Addon',
    row('binary', binary ?? 'none could be loaded'),
    ...(looked.length === 0 ? [] : ['  looked for at:', ...looked]),
  ];
}

function computeLines({ backends, devices, openvino }: DoctorReport): string[] {
  const shown = backends.map(({ name, state, reason, advice }) =>
    row(name, state === 'ready' ? 'ready' : [`not available: ${reason}.`, advice].join(' ').trim()),
  );
  const found = devices.map(({ name, description, backend, memoryFree, memoryTotal }) =>
    row(name, `${description} (${backend}), ${formatBytes(memoryFree)} free of ${formatBytes(memoryTotal)}`),
  );
  const none = row('', 'unknown without the addon');
  const library =
    openvino === null
      ? []
      : [
          '',
          `OpenVINO ${openvino.version}`,
          ...openvino.devices.map(({ name, description, precisions }) =>
            row(name, [description, ...(precisions.length === 0 ? [] : [`(${precisions.join(' ')})`])].join(' ')),
          ),
        ];
  return [
    'Backends',
    ...(shown.length === 0 ? [none] : shown),
    '',
    'Devices',
    ...(found.length === 0 ? [none] : found),
    ...library,
  ];
}

function modelLines({ cache, embedded }: DoctorReport): string[] {
  const free = cache.freeBytes === null ? '' : ` (${formatBytes(cache.freeBytes)} free)`;
  const lines = ['Files', row('cache', `${cache.path}${free}`)];
  if (embedded === null) return [...lines, row('embedded model', 'damaged, see below')];
  const { name, unpacked, checkpoint, taesd } = embedded;
  const size = formatBytes(checkpoint.bytes + taesd.bytes);
  return [
    ...lines,
    row('embedded model', `${name}, ${unpacked ? `unpacked (${size})` : `not unpacked yet (takes ${size})`}`),
  ];
}

function verdict({ problem, problems }: DoctorReport): string[] {
  const all = [...(problem === null ? [] : [problem]), ...problems];
  return all.length === 0 ? ['All is well.'] : ['Problems', ...all.map((text) => `  ${text.replaceAll('\n', '\n  ')}`)];
}
