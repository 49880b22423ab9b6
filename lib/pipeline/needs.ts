import { host, type Need, sumBytes } from '../memory/index.js';
import type { NativeGraphMemory, NativeGraphToCompile, NativeJobMemory } from '../native/index.js';
import type { ModelFacts } from './facts.js';
import { effectiveTile } from './tiles.js';
import type { JobShape, Tilings } from './measure.js';

/** Bytes of a job by part, and at its peak. */
export interface JobNeed {
  readonly textEncoder: number;
  readonly diffusion: number;
  readonly previews: number;
  readonly vaeEncode: number;
  readonly vaeDecode: number;
  /** Of an upscaler model. */
  readonly upscaler: number;
  readonly images: number;
  /** Graphs that it asks a backend which compiles for, each once. */
  readonly asks: readonly GraphToCompile[];
  /** Those that are not kept: it would compile them, and keep them. */
  readonly compiles: readonly GraphToCompile[];
  /** Most at one time on all devices together. */
  readonly peak: number;
  readonly byDevice: Need;
}

export interface GraphToCompile extends NativeGraphToCompile {
  readonly component: CompiledPart;
}

/** A network that is compiled by itself. */
export type CompiledPart = 'textEncoder' | 'diffusionModel' | 'vae';

const float = 4;
/** Descriptions of graphs, threads' heaps and JavaScript's garbage; measured. */
const overhead = 4 * 2 ** 20;

interface Stage {
  readonly part: 'textEncoder' | 'diffusion' | 'vaeEncode' | 'vaeDecode';
  readonly component: CompiledPart;
  /** On the component's device. */
  readonly graph: number;
  /** Host memory of the stage beside its graph. */
  readonly hostBytes: number;
  readonly work: number;
  /** What it asks a backend which compiles for; that stays when the stage has ended. */
  readonly asks: readonly GraphToCompile[];
}

/**
 * Puts what the engine's graphs take together with the pixels and latents around them.
 * @param kept signatures of graphs that are compiled already.
 */
export function jobNeed(
  shape: JobShape,
  tilings: Tilings,
  measured: NativeJobMemory,
  facts: ModelFacts,
  kept: ReadonlySet<number>,
): JobNeed {
  const stages = stagesOf(shape, tilings, measured, facts);
  const images = shape.inputBytes + shape.pictures * shape.width * shape.height * 3;
  const deviceOf = (name: Stage['component']): string => {
    const device = facts.components.find((component) => component.name === name)?.device ?? host;
    return device === '' ? host : device;
  };
  const peaks = new Map<string, number>([[host, 0]]);
  const raise = (device: string, bytes: number): void => {
    peaks.set(device, Math.max(peaks.get(device) ?? 0, bytes));
  };
  let work = 0;
  let compiled = 0;
  const asks = new Map<number, GraphToCompile>();
  const compiles: GraphToCompile[] = [];
  const compiledBy = new Map<Stage, number>();
  const { enlarge } = shape;
  // It comes first and has a backend of its own, whose work buffer stays.
  const beside = enlarge?.work ?? 0;
  if (enlarge !== null) {
    const here = enlarge.device === host;
    raise(host, images + overhead + beside + enlarge.hostBytes + (here ? enlarge.graph : 0));
    if (!here) raise(enlarge.device, enlarge.graph);
  }
  for (const stage of stages) {
    work = Math.max(work, stage.work); // the backend keeps the largest
    const own: GraphToCompile[] = [];
    for (const graph of stage.asks) {
      if (asks.has(graph.signature)) continue;
      asks.set(graph.signature, graph);
      if (!kept.has(graph.signature)) own.push(graph);
    }
    compiles.push(...own);
    compiledBy.set(stage, sumBytes(own));
    compiled += sumBytes(own); // and all that it compiles
    const device = deviceOf(stage.component);
    const graphs = stage.graph + compiled;
    raise(host, images + overhead + beside + work + stage.hostBytes + (device === host ? graphs : 0));
    if (device !== host) raise(device, graphs);
  }
  const part = (name: Stage['part']): number => {
    const stage = stages.find((entry) => entry.part === name);
    return stage === undefined ? 0 : stage.graph + stage.hostBytes + stage.work + (compiledBy.get(stage) ?? 0);
  };
  const previews = measured.preview.graph;
  let peak = 0;
  for (const bytes of peaks.values()) peak += bytes;
  return {
    textEncoder: part('textEncoder'),
    diffusion: part('diffusion') - previews,
    previews,
    vaeEncode: part('vaeEncode'),
    vaeDecode: part('vaeDecode'),
    upscaler: enlarge === null ? 0 : enlarge.graph + enlarge.work + enlarge.hostBytes,
    images,
    asks: [...asks.values()],
    compiles,
    peak,
    byDevice: peaks,
  };
}

function active({ graph, work }: NativeGraphMemory): boolean {
  return graph + work > 0;
}

/** In the order of a job. */
function stagesOf(shape: JobShape, tilings: Tilings, measured: NativeJobMemory, facts: ModelFacts): Stage[] {
  const { width, height } = shape;
  const pixels = width * height;
  const f = facts.scaleFactor;
  const latent = float * facts.latentChannels * (width / f) * (height / f);
  const largest = shape.encode.reduce((most, size) => Math.max(most, size.width * size.height), 0);
  const tile = (size: number, tiling: Tilings['decode']): number =>
    tiling.enabled ? 2 * 3 * float * Math.min(size, effectiveTile(tiling, width, height, f)) : 0;
  const stages: Stage[] = [];
  // Decoded floats as they are made of the bytes, a copy that the VAE scales, and the bytes themselves.
  if (active(measured.vaeEncode))
    stages.push({
      part: 'vaeEncode',
      component: 'vae',
      ...asked(measured.vaeEncode, 'vae'),
      hostBytes: largest * (2 * 3 * float + 3) + tile(largest, tilings.encode),
    });
  if (active(measured.textEncoder))
    stages.push({
      part: 'textEncoder',
      component: 'textEncoder',
      ...asked(measured.textEncoder, 'textEncoder'),
      hostBytes: 0,
    });
  if (active(measured.diffusion)) {
    const { diffusion, preview } = measured;
    const looks = preview.graph > 0 ? pixels * (3 * float + 3) : 0;
    stages.push({
      part: 'diffusion',
      component: 'diffusionModel',
      graph: diffusion.graph + preview.graph,
      work: Math.max(diffusion.work, preview.work),
      asks: [...asked(diffusion, 'diffusionModel').asks, ...asked(preview, 'vae').asks],
      hostBytes: latent * 12 + looks,
    });
  }
  if (active(measured.vaeDecode))
    stages.push({
      part: 'vaeDecode',
      component: 'vae',
      ...asked(measured.vaeDecode, 'vae'),
      hostBytes: pixels * 3 * float + latent * 3 + tile(pixels, tilings.decode),
    });
  return stages;
}

function asked(
  { graph, work, compiled = [] }: NativeGraphMemory,
  component: CompiledPart,
): Pick<Stage, 'graph' | 'work' | 'asks'> {
  return { graph, work, asks: compiled.map((one) => ({ ...one, component })) };
}
