import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { createRuntime } from '../../lib/index.js';
import { loadAddon } from '../../lib/native/index.js';
import { failure } from '../support/native.js';

it('the backend openvino is there with its module, else an error that says what to install', async () => {
  if (existsSync(join(dirname(loadAddon().path), 'libggml-openvino.so'))) {
    await using runtime = await createRuntime({ backend: 'openvino' });
    expect(runtime.backend).toBe('openvino');
    return;
  }
  const error = await failure(createRuntime({ backend: 'openvino' }));
  expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', field: 'backend' });
  expect(error.message).toContain('npm install --save-optional @node-diffusion/');
});
