import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { Stop } from './say.mjs';

/** Definitions of a preset of CMakePresets.json and of those it inherits from, as `NAME=VALUE`. */
export function presetDefinitions(name) {
  const { configurePresets } = JSON.parse(readFileSync(join(root, 'CMakePresets.json'), 'utf8'));
  const variables = (wanted) => {
    const preset = configurePresets.find((entry) => entry.name === wanted);
    if (preset === undefined) {
      const known = configurePresets.filter(({ hidden }) => hidden !== true).map((entry) => entry.name);
      throw new Stop(`no preset is called "${wanted}": ${known.join(', ')}.`);
    }
    // CMake's own order: of several parents the first one wins.
    const parents = [preset.inherits ?? []].flat().reverse();
    return Object.assign({}, ...parents.map(variables), preset.cacheVariables);
  };
  return Object.entries(variables(name)).map(([variable, value]) => `${variable}=${value}`);
}
