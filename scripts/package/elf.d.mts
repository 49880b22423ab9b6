export interface DynamicSection {
  readonly needed: readonly string[];
  readonly runpath: readonly string[];
  readonly rpath: readonly string[];
  readonly soname: readonly string[];
}
export function read(tool: string, args: readonly string[]): string;
export function dynamicSection(file: string): DynamicSection;
export function sections(file: string): string[];
export function buildId(file: string): string;
export function ceiling(files: readonly string[], family: 'GLIBC' | 'GLIBCXX'): string;
export function compareVersions(left: string, right: string): number;
