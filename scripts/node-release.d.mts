export function nodeRelease(
  major: 22 | 24,
): Promise<{ readonly program: string; readonly missing?: undefined } | { readonly program?: undefined; readonly missing: string }>;
