import { expect, it } from 'vitest';
import { gatherReport } from '../../lib/cli/doctor/gather.js';
import { reportText } from '../../lib/cli/doctor/text.js';

it('doctor tells the version and the devices of OpenVINO, which a child process has asked for', async () => {
  const report = await gatherReport();
  expect(report.problems).toEqual([]);
  expect(report.openvino?.version).toMatch(/^20\d\d\./);
  const cpu = report.openvino?.devices.find(({ name }) => name === 'CPU');
  expect(cpu?.precisions).toContain('FP32');
  expect(cpu?.description).not.toBe('');
  expect(reportText(report)).toContain(`OpenVINO ${report.openvino?.version ?? ''}`);
});
