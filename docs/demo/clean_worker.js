// Cleans a recording beside the page, a second at a time.
import { LocalVQE } from './localvqe/src/index.js';

const SECOND = 16384; // samples; whole hops

const models = new Map();

function load(name) {
  if (!models.has(name)) {
    models.set(name, LocalVQE.load({ model: name }));
  }
  return models.get(name);
}

onmessage = async ({ data: { id, model, mic, ref } }) => {
  try {
    const stream = (await load(model)).stream({ block: SECOND });
    const late = Math.round(stream.delay * stream.sampleRate);
    const out = new Float32Array(Math.ceil((mic.length + late) / SECOND) * SECOND);
    for (let at = 0; at < out.length; at += SECOND) {
      const part = (samples) => {
        const block = new Float32Array(SECOND);
        block.set(samples.subarray(at, at + SECOND));
        return block;
      };
      stream.process(part(mic), part(ref), out.subarray(at, at + SECOND));
      postMessage({ id, progress: (at + SECOND) / out.length });
    }
    stream.close();
    const cleaned = out.slice(late, late + mic.length);
    postMessage({ id, cleaned }, [cleaned.buffer]);
  } catch (error) {
    models.delete(model);
    postMessage({ id, error: error.message });
  }
};
