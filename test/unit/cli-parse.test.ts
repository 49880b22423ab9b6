import { describe, expect, it } from 'vitest';
import { checkRequest } from '../../lib/cli/check-request.js';
import { collect, optionOfField } from '../../lib/cli/collect.js';
import { type CommandName, findCommand } from '../../lib/cli/commands/table.js';
import { overlay } from '../../lib/cli/from-picture.js';
import { parseCommand } from '../../lib/cli/parse.js';
import { DiffusionError } from '../../lib/errors/index.js';

function parse(name: CommandName, ...args: string[]) {
  const command = findCommand(name);
  if (command === undefined) throw new Error(name);
  return parseCommand(command, args);
}

function failure(name: CommandName, ...args: string[]): DiffusionError {
  try {
    parse(name, ...args);
  } catch (error) {
    if (error instanceof DiffusionError) return error;
    throw error;
  }
  throw new Error(`accepted: ${args.join(' ')}`);
}

describe('parseCommand', () => {
  it('reads operands, values, letters and negative numbers', () => {
    const parsed = parse(
      'generate',
      'a red apple',
      '--seed',
      '-1',
      '-o',
      'x.png',
      '--cfg-scale=2.5',
      '-b',
      '3',
      '--mmap',
    );
    expect(parsed.operands).toEqual(['a red apple']);
    expect(collect(parsed, 'request')).toEqual({ seed: -1, cfgScale: 2.5, batchSize: 3 });
    expect(collect(parsed, 'model')).toEqual({ mmap: true });
    expect(collect(parsed, 'cli')).toEqual({ output: 'x.png' });
  });

  it('takes what follows -- as the prompt', () => {
    expect(parse('generate', '--', '--seed').operands).toEqual(['--seed']);
  });

  it('lets the later of two options win', () => {
    expect(collect(parse('generate', '--size', '256', '--width', '512'), 'request')).toEqual({
      width: 512,
      height: 256,
    });
    expect(collect(parse('generate', '--no-preview', '--preview'), 'cli')).toEqual({ preview: true });
  });

  it('makes objects of the fields of nested options', () => {
    const parsed = parse(
      'generate',
      '--tile-size',
      '32x64',
      '--tiling',
      '--tile-overlap',
      '0.25',
      '--slg-layers',
      '7,8',
    );
    expect(collect(parsed, 'request')).toEqual({
      tiling: { tileSize: { x: 32, y: 64 }, overlap: 0.25 },
      skipLayerGuidance: { layers: [7, 8] },
    });
    expect(collect(parse('generate', '--circular'), 'model')).toEqual({ circular: true });
  });

  it('collects repeated reference pictures', () => {
    expect(collect(parse('generate', '--ref-image', 'a.png', '--ref-image', 'b.png'), 'request')).toEqual({
      refImages: ['a.png', 'b.png'],
    });
  });

  it.each([
    ['--stpes', '--steps'],
    ['--batch-size', '--batch'],
    ['--num_inference_steps', '--steps'],
    ['--negative-prompt', '--negative'],
    ['--guidance_scale', '--cfg-scale'],
  ])('suggests for %s the option %s', (typed, meant) => {
    const error = failure('generate', typed, '4');
    expect(error.code).toBe('ERR_INVALID_OPTION');
    expect(error.message).toContain(typed);
    expect(error.hint).toContain(`"${meant}"`);
  });

  it('says which command has an option', () => {
    expect(failure('generate', '--mask', 'm.png').hint).toContain('img2img');
  });

  it('puts options of a refiner into theirs, and that of the second pass into its own', () => {
    const args = ['--refiner', 'r.ckpt', '--refiner-switch-at', '0.7', '--refiner-modules', 'a.ckpt, b.ckpt'];
    const refiner = { checkpoint: 'r.ckpt', switchAt: 0.7, modules: ['a.ckpt', 'b.ckpt'] };
    expect(collect(parse('img2img', ...args), 'request')).toEqual({ refiner });
    const both = parse('generate', ...args, '--hires', '2', '--hires-refiner', 's', '--hires-refiner-switch-at', '0.6');
    const hires = { scale: 2, refiner: { checkpoint: 's', switchAt: 0.6 } };
    expect(collect(both, 'request')).toEqual({ refiner, hires });
    // Over the settings of a picture they change what they name.
    const picture = { steps: 5, refiner: { checkpoint: 'old', switchAt: 0.5 }, hires: { steps: 3, refiner } };
    const given = collect(parse('generate', '--refiner', 'new', '--hires-refiner-switch-at', '0.9'), 'request');
    expect(overlay(picture, given)).toEqual({
      steps: 5,
      refiner: { checkpoint: 'new', switchAt: 0.5 },
      hires: { steps: 3, refiner: { ...refiner, switchAt: 0.9 } },
    });
  });

  it('notices a forgotten value', () => {
    expect(failure('generate', '-o', '--seed', '1').message).toMatch(/"-o" needs a value.*"--seed"/);
    expect(failure('generate', '--seed').message).toContain('--seed N');
    expect(collect(parse('generate', '--negative=--seed'), 'request')).toEqual({ negativePrompt: '--seed' });
  });

  it.each([
    ['--seed', 'one'],
    ['--cfg-scale', 'high'],
    ['--size', '512 by 512'],
    ['--sigmas', '3,x,0'],
    ['--sampler', 'eulr'],
    ['--backend', 'gpu9'],
    ['--mmap=true'],
  ])('refuses %s %s and names the option', (...args) => {
    const error = failure('generate', ...args);
    expect(error.code).toBe('ERR_INVALID_OPTION');
    expect(error.field).toBe(args[0]?.split('=')[0]);
  });
});

describe('optionOfField', () => {
  const options = findCommand('img2img')?.options ?? [];

  it.each([
    ['cfgScale', 'cfg-scale'],
    ['sigmas[2]', 'sigmas'],
    ['tiling.overlap', 'tile-overlap'],
    ['tiling.tileSize.x', 'tile-size'],
    ['refiner.switchAt', 'refiner-switch-at'],
    ['refiner.modules[1]', 'refiner-modules'],
    ['checkpoint', 'model'],
    ['denoisingStrength', 'denoising-strength'],
  ])('finds for %s the option %s', (field, name) => {
    expect(optionOfField(options, field)?.name).toBe(name);
  });
});

describe('checkRequest', () => {
  it('knows every request option of the table', () => {
    const values: Record<string, string> = {
      TEXT: 'x',
      N: '8',
      X: '0.5',
      'N|WxH': '64',
      'X|XxY': '4x2',
      FILE: 'x.png',
      LIST: '7,3,0',
      'same|built-in|FILES': 'same',
      WHAT: 'timesteps',
    };
    const choices: Record<string, string> = {
      sampler: 'euler',
      schedule: 'karras',
      'step-cache': 'ucache',
      'preview-mode': 'vae',
      'resize-mode': 'crop',
      'masked-content': 'latent-noise',
      'inpaint-area': 'only-masked',
    };
    const command = findCommand('img2img');
    const args = (command?.options ?? [])
      .filter(({ target }) => target === 'request')
      .flatMap(({ name, value = '' }) =>
        value === '' ? [`--${name}`] : [`--${name}`, choices[name] ?? values[value] ?? ''],
      );
    const request = collect(parse('img2img', ...args), 'request');
    expect(() => {
      checkRequest('inpaint', request);
    }).not.toThrow();
  });

  it('refuses what the API refuses', () => {
    expect(() => {
      checkRequest('txt2img', { prompt: 'x', steps: 0 });
    }).toThrow(/"steps"/);
  });
});
