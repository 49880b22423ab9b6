/** The OpenVINO library behind the backend, for `doctor`. */
export interface OpenvinoLibrary {
  readonly version: string;
  readonly devices: readonly {
    /** As `openvino.device` takes it. */
    readonly name: string;
    readonly description: string;
    /** What it computes in, in OpenVINO's words: `FP32`, `BF16`, `INT8`, … */
    readonly precisions: readonly string[];
  }[];
}

/** @param text what the module tells (`describeBackend`); null without one. */
export function openvinoLibrary(text: string): OpenvinoLibrary | null {
  if (text === '') return null;
  const { version, devices } = JSON.parse(text) as Partial<OpenvinoLibrary>;
  // OpenVINO lists other abilities among them, such as EXPORT_IMPORT.
  const known = (devices ?? []).map(({ precisions, ...device }) => ({
    ...device,
    precisions: precisions.filter((name) => /^(?:[A-Z]+\d+|BIN)$/.test(name)),
  }));
  return { version: version ?? 'unknown', devices: known };
}
