import { invalidOption } from '../errors/index.js';
import { arrayOf, checker, filePath, union } from '../options/index.js';

const choices = "'same', 'built-in' or a list of paths";

/** Where VAE and text encoders of another checkpoint come from: `'same'`, `'built-in'` or paths. */
export const modulesSpec = union(
  [
    checker(choices, (value, field) => {
      if (value === 'same' || value === 'built-in') return value;
      const hint = 'A list names the files of the VAE and the text encoders that go with the checkpoint.';
      throw invalidOption(field, value, choices, hint);
    }),
    arrayOf(filePath(), { max: 16 }),
  ],
  (value) => (Array.isArray(value) ? 1 : 0),
);
