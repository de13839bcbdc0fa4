// Opens and closes streams and models; the engine's memory must stay as it is after the first few.
// usage: node memory.mjs SECONDS
import { LocalVQE } from '../src/index.js';

const seconds = Number(process.argv[2]);
const block = new Float32Array(480).map((_, i) => 0.1 * Math.sin(i * i));
const end = Date.now() + 1000 * seconds;
const kept = await LocalVQE.load({ model: 'denoise' });
let first = 0;
let streams = 0;
do {
  const open = Array.from({ length: 4 }, () => kept.stream({ sampleRate: 48000, block: 480 }));
  for (const stream of open) {
    for (let i = 0; i < 4; ++i) {
      stream.process(block, block);
    }
    stream.close();
  }
  streams += open.length;
  if (streams === 40) {
    first = kept.engine.memoryBytes;
  }
} while (streams <= 40 || Date.now() < end);
const heap = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
};
console.log(JSON.stringify({ streams, first, last: kept.engine.memoryBytes, heap: heap() }));
