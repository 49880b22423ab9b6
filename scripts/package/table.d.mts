export interface Platform {
  readonly tag: string;
  readonly os: NodeJS.Platform;
  readonly cpu: NodeJS.Architecture;
  readonly libc?: 'glibc' | 'musl';
  readonly backends: readonly string[];
}
export interface PlatformPackage {
  readonly name: string;
  readonly kind: string;
  readonly platform: Platform;
  readonly title: string;
  readonly needs: readonly RegExp[];
  readonly may: readonly RegExp[];
  readonly licences?: string;
  readonly trial?: (folder: string) => string;
}
export const platforms: readonly Platform[];
export const platformPackages: readonly PlatformPackage[];
export function coreDependencies(version: string): Record<string, string>;
export const backendPackages: readonly string[];
