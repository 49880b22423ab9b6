/** What the part to repaint holds before it is painted; A1111's "Masked content" by its own names. */
export const maskedContents = ['original', 'fill', 'latent noise', 'latent nothing'] as const;

export type MaskedContent = (typeof maskedContents)[number];

/** A1111's "Inpaint area". */
export const inpaintAreas = ['whole picture', 'only masked'] as const;

export type InpaintArea = (typeof inpaintAreas)[number];

/** How a picture of another shape comes to its size; A1111's "Resize mode". */
export const resizeModes = ['stretch', 'crop', 'pad'] as const;

export type ResizeMode = (typeof resizeModes)[number];

/** A1111's labels, for infotext. */
export const resizeLabels: Readonly<Record<ResizeMode, string>> = {
  stretch: 'Just resize',
  crop: 'Crop and resize',
  pad: 'Resize and fill',
};

export const resizeAliases: Readonly<Record<string, ResizeMode>> = {
  'just resize': 'stretch',
  'crop and resize': 'crop',
  'resize and fill': 'pad',
};

/** Without the blanks that a shell would want quoted. */
export const maskedContentAliases: Readonly<Record<string, MaskedContent>> = {
  'latent-noise': 'latent noise',
  'latent-nothing': 'latent nothing',
};

export const inpaintAreaAliases: Readonly<Record<string, InpaintArea>> = {
  'whole-picture': 'whole picture',
  'only-masked': 'only masked',
};
