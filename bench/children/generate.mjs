// One picture in a fresh process, as a program with the package would make it.
const { checkpoint, taesd, threads, request, output } = JSON.parse(process.argv[2]);
const { createRuntime } = await import('node-diffusion');
const runtime = await createRuntime({ backend: 'cpu', threads });
const start = performance.now();
const model = await runtime.loadModel({ checkpoint, taesd });
const loaded = performance.now();
const { images, timings } = await model.txt2img(request);
await images[0].save(output);
await runtime.dispose();
const ms = (seconds) => seconds * 1000;
const { encode, sample, decode, total } = timings;
const result = {
  load: loaded - start,
  encode: ms(encode),
  sample: ms(sample),
  decode: ms(decode),
  generate: ms(total),
};
console.log(JSON.stringify(result));
