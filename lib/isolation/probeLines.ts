/** What `probe-child.ts` prints, among whatever drivers print. */

/** The module runs: it has told its devices, were it none. */
export const usableLine = 'node-diffusion: the module runs';
/** Before JSON of what the libraries behind it tell, by backend. */
export const librariesLine = 'node-diffusion: libraries ';
