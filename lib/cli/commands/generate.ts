import { type CliContext, writeJson } from '../context.js';
import { createView, type ProgressView } from '../progress/view.js';
import type { CliModel } from '../runtime.js';
import type { CommandRun } from './command.js';
import { paint } from './paint.js';
import { type PictureJob, prepareJob } from './prepare.js';
import { resultJson } from './result.js';

const run: CommandRun = async (parsed, context, { name }) => {
  const signal = context.interrupt();
  const job = await prepareJob(parsed, name, signal);
  const view = createView(context, job.settings);
  try {
    for (const warning of job.picture?.warnings ?? []) view.note(`node-diffusion: warning: ${warning}`);
    await withModel(job, context, view, signal, async (model, loadSeconds) => {
      warnOfOtherModel(job, model, view);
      const painted = await paint(model, job, context, view, signal);
      await view.close();
      if (job.settings.json === true) writeJson(context.stdout, resultJson(painted, model, loadSeconds));
    });
    return 0;
  } finally {
    await view.close();
  }
};

/** `node-diffusion generate`. */
export const generate: CommandRun = run;

/** `node-diffusion img2img`; with a mask it inpaints. */
export const img2img: CommandRun = run;

async function withModel(
  job: PictureJob,
  context: CliContext,
  view: ProgressView,
  signal: AbortSignal,
  work: (model: CliModel, loadSeconds: number) => Promise<void>,
): Promise<void> {
  const { logLevel } = job.runtime;
  const logger = (level: string, message: string): void => {
    view.note(`${level}: ${message.trimEnd()}`);
  };
  const runtime = await context.createRuntime({ ...job.runtime, ...(logLevel === undefined ? {} : { logger }) });
  try {
    const started = context.now();
    const model = await runtime.loadModel({
      ...job.model,
      signal,
      onProgress: (event) => {
        view.update(event);
      },
    });
    await work(model, (context.now() - started) / 1000);
  } finally {
    await runtime.dispose({ abort: true });
  }
}

/** A picture's seed means another picture with another model, so that is worth a word. */
function warnOfOtherModel({ picture, model }: PictureJob, { info }: CliModel, view: ProgressView): void {
  const made = picture?.modelName;
  if (made === undefined || made === info.name) return;
  const hint = model.checkpoint === undefined ? ' Name it with --model.' : '';
  view.note(`node-diffusion: warning: the picture was made with model "${made}", this is "${info.name}".${hint}`);
}
