/** The C library of this process: `glibc 2.36`, `musl`; null where there is no choice. */
export function libcOf(platform: string): string | null {
  if (platform.startsWith('linuxmusl')) return 'musl';
  if (!platform.startsWith('linux')) return null;
  // Without this the report looks up host names, which may take seconds. An older Node ignores it.
  const { report } = process;
  Object.assign(report, { excludeNetwork: true });
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? null : `glibc ${header.glibcVersionRuntime}`;
}

/**
 * Why a backend module cannot be loaded, in the words of the system's loader: ggml keeps them to itself. A module that
 * the loader accepts is no Node addon and says so, which tells nothing about the backend.
 */
export function loaderMessage(file: string): string {
  try {
    process.dlopen({ exports: {} }, file);
    return '';
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return /did not self-register/i.test(message) ? '' : message;
  }
}
