export const releaseToolkit: string;
export function releaseArchitectures(): string;
export function writeNote(
  folder: string,
  facts: { readonly architectures: string; readonly flags: string; readonly cuda: string },
): void;
export function trialReason(folder: string): string;
