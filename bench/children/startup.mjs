const start = performance.now();
const { createRuntime } = await import('node-diffusion');
const imported = performance.now();
const runtime = await createRuntime();
const created = performance.now();
await runtime.dispose();
console.log(JSON.stringify({ imported: imported - start, created: created - imported }));
