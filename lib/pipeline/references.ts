/**
 * Size that a reference picture is encoded in: about the area of the picture to make (at most 1024x1024), its own
 * aspect ratio, edges in multiples of 16 (32 for Qwen-Image). The engine's `auto_resize_ref_image`, with its integer
 * division before the square root.
 */
export function referenceSize(
  image: { readonly width: number; readonly height: number },
  width: number,
  height: number,
  architecture: string,
): { width: number; height: number } {
  const area = Math.min(1024 * 1024, width * height);
  const exactWidth = Math.sqrt(Math.trunc((area * image.width) / image.height));
  const exactHeight = (exactWidth * image.height) / image.width;
  const factor = architecture === 'Qwen Image' ? 32 : 16;
  const round = (value: number): number => Math.max(factor, Math.round(value / factor) * factor);
  return { width: round(exactWidth), height: round(exactHeight) };
}
