/** The prebuilt packages that exist, by platform: which backends come in a package of their own. CPU and Metal are in the core. */
const backendsOf: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['openvino', 'vulkan', 'cuda'],
  'linux-arm64': ['vulkan'],
  'darwin-arm64': [],
  'win32-x64': ['vulkan'],
};

/** How the name of a package ends where it is not the backend's name: the driver must know this version of CUDA. */
const suffixes: Readonly<Record<string, string>> = { cuda: 'cuda13' };

/** Platforms that prebuilt packages exist for. */
export const prebuiltTags: readonly string[] = Object.keys(backendsOf);

/** Name of the package with the addon for a platform. */
export function platformPackageName(tag: string): string {
  return `@node-diffusion/${tag}`;
}

/** Names of the packages that bring further backends to a platform. */
export function backendPackageNames(tag: string): string[] {
  return (backendsOf[tag] ?? []).map((backend) => `${platformPackageName(tag)}-${suffixes[backend] ?? backend}`);
}

/** Name of the package that brings a backend to a platform; undefined where there is none. */
export function backendPackageName(tag: string, backend: string): string | undefined {
  const at = backendsOf[tag]?.indexOf(backend) ?? -1;
  return at < 0 ? undefined : backendPackageNames(tag)[at];
}
