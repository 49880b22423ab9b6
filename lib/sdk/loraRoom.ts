import { formatBytes, host, type MemoryLedger, outOfMemory, totalOf, whereOf } from '../memory/index.js';
import type { ModelFacts } from '../pipeline/index.js';
import type { LoraRoom } from '../weights/index.js';

/** The memory of a runtime as LoRAs of one of its models take it. */
export function loraRoom(ledger: MemoryLedger, facts: () => ModelFacts): LoraRoom {
  const deviceOf = (part: string): string => facts().components.find(({ name }) => name === part)?.device ?? host;
  return {
    keep: (bytes) => ledger.keep(bytes),
    async take({ host: onHost, beside }) {
      const need = new Map([[host, onHost]]);
      for (const [part, bytes] of beside) need.set(deviceOf(part), (need.get(deviceOf(part)) ?? 0) + bytes);
      const outcome = await ledger.takeNow(need);
      if ('release' in outcome) return outcome.release;
      const hint = `${ledger.limit === undefined ? 'Free memory' : 'Raise memoryLimit'}, set fewer LoRAs, or load the model with loraBackup: 'file' and without loraCacheBytes.`;
      const message = `Setting the LoRAs needs ${formatBytes(totalOf(need))} of memory, ${whereOf(ledger, outcome)}. Nothing was changed. ${hint}`;
      throw outOfMemory(message, outcome, hint);
    },
  };
}
