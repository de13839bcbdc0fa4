// Loads every file of a folder into one engine, which must refuse it or compute with it and be as good as before.
// usage: node hostile.mjs GOOD_MODEL FOLDER      prints a line a file: name, verdict, message
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { Engine, HOP } from '../src/engine.js';
import { LocalVQEError } from '../src/index.js';

const [good, folder] = process.argv.slice(2);
const engine = await Engine.create(readFileSync(new URL('../dist/localvqe.wasm', import.meta.url)));
const read = (path) => new Uint8Array(readFileSync(path));
const signal = (seed) => Float32Array.from({ length: 8 * HOP }, (_, i) => 0.3 * Math.sin(i * i * seed));
const [mic, ref] = [signal(0.0013), signal(0.0029)];

function compute(bytes) {
  const model = engine.loadModel(bytes);
  try {
    const session = engine.openSession(model);
    try {
      const out = new Float32Array(mic.length);
      session.process(mic, ref, out);
      return out;
    } finally {
      session.close();
    }
  } finally {
    engine.freeModel(model);
  }
}

function attempt(bytes) {
  try {
    return compute(bytes).every(Number.isFinite) ? ['accepted', ''] : ['finding', 'output that is not finite'];
  } catch (error) {
    return [error instanceof LocalVQEError ? 'refused' : 'finding', error.message];
  }
}

const before = compute(read(good));
for (const name of readdirSync(folder)) {
  console.log([name, ...attempt(read(join(folder, name)))].join('\t'));
}
if (compute(read(good)).some((x, i) => x !== before[i])) {
  console.log('\tfinding\tthe engine computes something else than before');
}
console.log(`memory\t${engine.memoryBytes}`);
