import type { Bench } from './bench.js';
import { backends } from './measure/backends.js';
import { hires } from './measure/hires.js';
import { latency } from './measure/latency.js';
import { load } from './measure/load.js';
import { lora } from './measure/lora.js';
import type { Measured } from './measure/measured.js';
import { memory } from './measure/memory.js';
import { throughput } from './measure/throughput.js';
import { type BenchCommand, type PeerName, peerNames } from './types.js';

interface Suite {
  readonly title: string;
  /** Turns unless they are chosen. */
  readonly repeat: number;
  readonly peers: readonly PeerName[];
  readonly run: (bench: Bench) => Promise<Measured>;
}

export const suites: Readonly<Record<BenchCommand, Suite>> = {
  throughput: { title: 'steps and pictures with the model in memory', repeat: 5, peers: peerNames, run: throughput },
  latency: { title: 'the wait for one picture, warm and cold', repeat: 5, peers: peerNames, run: latency },
  lora: { title: 'changing LoRAs of a model in memory', repeat: 5, peers: ['sd-cli'], run: lora },
  hires: { title: 'pictures of two passes', repeat: 5, peers: ['sd-cli'], run: hires },
  load: { title: 'reading a model', repeat: 7, peers: peerNames, run: load },
  memory: { title: 'resident memory', repeat: 3, peers: peerNames, run: memory },
  backends: { title: 'the same request on every backend', repeat: 5, peers: [], run: backends },
};
