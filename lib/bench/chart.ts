import { extname } from 'node:path';
import { invalidOption } from '../errors/index.js';
import { loadSharp } from '../image/load-sharp.js';
import type { BenchRecord, SuiteResult } from './record.js';
import type { Row } from './statistics.js';
import { formatNumber } from './table.js';

/** Pixels. */
const [width, margin, labels, figures, line] = [900, 24, 280, 170, 22];
const colours = { bar: '#4a7fb5', spread: '#1f2d3d', text: '#1f2d3d', faint: '#6b7785', paper: '#ffffff' };

/** Rows of one unit and of what stands before their first `: `; their bars share a scale. */
interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly rows: { readonly label: string; readonly row: Row }[];
}

function panelsOf({ rows }: SuiteResult): Panel[] {
  const panels: Panel[] = [];
  for (const row of rows) {
    const [, title = '', label = row.name] = /^([^:]+): (.+)$/.exec(row.name) ?? [];
    let panel = panels.find((other) => other.title === title && other.unit === row.unit);
    if (panel === undefined) panels.push((panel = { title, unit: row.unit, rows: [] }));
    panel.rows.push({ label, row });
  }
  return panels;
}

/** A run as an SVG picture: a bar for each median, a line from the smallest to the largest value. */
export function chartSvg(record: BenchRecord): string {
  const parts: string[] = [];
  let y = margin;
  const text = (x: number, content: string, style: string): void => {
    parts.push(`<text x="${String(x)}" y="${String(y)}" ${style}>${escaped(content)}</text>`);
  };
  for (const suite of record.suites) {
    y += 14;
    text(margin, `node-diffusion bench ${suite.name}: ${suite.title}`, `font-size="18" font-weight="bold"`);
    y += 20;
    text(margin, about(record, suite), `fill="${colours.faint}"`);
    for (const panel of panelsOf(suite)) {
      y += 32;
      text(margin, `${panel.title === '' ? '' : `${panel.title}, `}${panel.unit}`, 'font-weight="bold"');
      y += 10;
      parts.push(...bars(panel, y));
      y += panel.rows.length * line;
    }
    y += margin;
  }
  const height = y;
  const size = `width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="13" fill="${colours.text}">`,
    `<rect width="100%" height="100%" fill="${colours.paper}"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function about({ machine, package: own, commits, date }: BenchRecord, { repeat }: SuiteResult): string {
  const { cpu, cores, memoryGiB } = machine;
  const where = `${cpu}, ${String(cores)} cores, ${String(memoryGiB)} GiB`;
  return `${where}; node-diffusion ${own}, ggml ${commits.ggml}; median of ${String(repeat)} runs, ${date.slice(0, 10)}`;
}

function bars({ rows }: Panel, top: number): string[] {
  const most = Math.max(...rows.map(({ row }) => row.max).filter(Number.isFinite), Number.MIN_VALUE);
  const room = width - 2 * margin - labels - figures;
  const at = (value: number): string => (margin + labels + (Math.max(0, value) / most) * room).toFixed(1);
  return rows.flatMap(({ label, row }, index) => {
    const y = top + index * line;
    const middle = String(y + line / 2);
    const base = String(y + line / 2 + 4);
    const shown = Number.isFinite(row.median);
    const length = shown ? Number(at(row.median)) - margin - labels : 0;
    const spread = `${formatNumber(row.median)} (${formatNumber(row.min)}–${formatNumber(row.max)})`;
    return [
      `<text x="${String(margin)}" y="${base}">${escaped(label)}</text>`,
      `<rect x="${String(margin + labels)}" y="${String(y + 4)}" width="${length.toFixed(1)}" height="${String(line - 8)}" fill="${colours.bar}"/>`,
      shown
        ? `<path d="M${at(row.min)} ${middle}H${at(row.max)}" stroke="${colours.spread}" stroke-width="2" fill="none"/>`
        : '',
      `<text x="${String(width - margin)}" y="${base}" text-anchor="end">${escaped(spread)}</text>`,
    ].filter((part) => part !== '');
  });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** @throws DiffusionError `ERR_INVALID_OPTION` for a name that is neither SVG nor PNG. */
export function checkChartName(path: string): void {
  if (!['.svg', '.png'].includes(extname(path).toLowerCase())) {
    throw invalidOption('--chart', path, 'a file name that ends with .svg or .png');
  }
}

/** The bytes of a chart, by the extension of its name. */
export async function chartBytes(record: BenchRecord, path: string): Promise<Uint8Array> {
  checkChartName(path);
  const svg = Buffer.from(chartSvg(record));
  if (extname(path).toLowerCase() === '.svg') return svg;
  const sharp = await loadSharp();
  return sharp(svg).png().toBuffer();
}
