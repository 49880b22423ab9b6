import { collect } from '../collect.js';
import { writeJson } from '../context.js';
import { gatherReport } from '../doctor/gather.js';
import { reportText } from '../doctor/text.js';
import type { CommandRun } from './command.js';

/** `node-diffusion doctor`: shows what is there; exit code 1 when the addon cannot be loaded. */
export const doctor: CommandRun = async (parsed, { stdout }) => {
  const { json, binary } = collect(parsed, 'cli');
  const report = await gatherReport(typeof binary === 'string' ? { binary } : {});
  if (json === true) writeJson(stdout, report);
  else stdout.write(reportText(report));
  return report.ok ? 0 : 1;
};
