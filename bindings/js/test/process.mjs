// usage: node process.mjs MODEL MIC REF OUT      raw floats at 16 kHz, whole hops; OUT lags by one hop
import { readFileSync, writeFileSync } from 'node:fs';

import { LocalVQE } from '../src/index.js';

const floats = (path) => {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};

const [model, mic, ref, out] = process.argv.slice(2);
const vqe = await LocalVQE.load({ model });
const stream = vqe.stream();
const result = stream.process(floats(mic), floats(ref));
writeFileSync(out, new Uint8Array(result.buffer));
console.log(JSON.stringify({ kernels: vqe.kernels, version: vqe.version, delay: stream.delay, echoDelay: stream.echoDelay }));
