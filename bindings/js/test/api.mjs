// What the public functions do with right and wrong arguments. Prints ok, or throws.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { LocalVQE, LocalVQEError } from '../src/index.js';
import { DryPath, LoadGuard } from '../src/guard.js';
import { Resampler, resample } from '../src/resampler.js';

const refused = async (call, words) => {
  await assert.rejects(async () => call(), (error) => {
    assert(error instanceof LocalVQEError, `${error.name}: ${error.message}`);
    assert.match(error.message, words);
    assert(!error.message.includes('\n'));
    return true;
  });
};
const sine = (frequency, rate, n) => Float32Array.from({ length: n }, (_, i) => 0.5 * Math.sin((2 * Math.PI * frequency * i) / rate));

// Models: names, paths, bytes, addresses.
const vqe = await LocalVQE.load();
const kalman = await LocalVQE.load({ model: 'kalman' });
await refused(() => LocalVQE.load({ model: 'nowhere.gguf' }), /nowhere\.gguf: no such file/);
await refused(() => LocalVQE.load({ model: 7 }), /a model is/);
await refused(() => LocalVQE.load({ model: new Uint8Array(0) }), /empty/);
await refused(() => LocalVQE.load({ model: new Uint8Array(100) }), /not a GGUF file/);
const file = readFileSync(new URL('../dist/default-f32.gguf', import.meta.url));
const server = createServer((request, response) => {
  response.statusCode = request.url === '/model.gguf' ? 200 : 404;
  response.end(file);
}).listen(0);
const address = `http://localhost:${server.address().port}/model.gguf`;
const sha256 = createHash('sha256').update(file).digest('hex');
(await LocalVQE.load({ model: address, sha256 })).close();
(await LocalVQE.load({ model: file })).close();
await refused(() => LocalVQE.load({ model: address }), /SHA-256/);
await refused(() => LocalVQE.load({ model: address, sha256: 'a'.repeat(64) }), /has SHA-256 .* expected aaaa/);
await refused(() => LocalVQE.load({ model: `${address}x`, sha256 }), /answered 404/);
server.closeAllConnections();
await new Promise((resolve) => server.close(resolve));
await refused(() => LocalVQE.load({ model: address, sha256 }), /cannot be reached/);

// Clips: of any length, at any rate, aligned with the microphone. Without a reference there is no echo to take away.
for (const rate of [16000, 44100, 48000]) {
  for (const n of [0, 1, 255, 256, 5000]) {
    assert.equal(vqe.process(sine(440, rate, n), null, { sampleRate: rate }).length, n);
  }
  const mic = sine(440, rate, rate);
  const out = kalman.process(mic, new Float32Array(10), { sampleRate: rate });
  const error = out.slice(1000, -1000).reduce((top, x, i) => Math.max(top, Math.abs(x - mic[i + 1000])), 0);
  assert(error < 2e-3, `off by ${error} at ${rate} Hz`);
}
await refused(() => vqe.process([0, 1], null), /Float32Array/);
await refused(() => vqe.process(new Float32Array(9), null, { sampleRate: 44101 }), /44101 Hz/);

// Streams: as a clip, later by what they say, in blocks of any length.
for (const [sampleRate, block] of [[16000, 256], [16000, 160], [48000, 128], [48000, 480], [32000, 1], [96000, 1000]]) {
  const stream = vqe.stream({ sampleRate, block });
  const n = Math.floor(sampleRate / 2 / block) * block;
  const [mic, ref] = [sine(700, sampleRate, n), sine(300, sampleRate, n)];
  const whole = vqe.process(mic, ref, { sampleRate });
  const out = new Float32Array(n);
  for (let at = 0; at < n; at += block) {
    stream.process(mic.subarray(at, at + block), ref.subarray(at, at + block), out.subarray(at, at + block));
  }
  const late = Math.round(stream.delay * sampleRate);
  for (let i = 0; i < n - late - 0.01 * sampleRate; ++i) {
    assert(Math.abs(out[i + late] - whole[i]) < 1e-5, `${sampleRate} ${block} ${i}`);
  }
  stream.reset();
  assert.deepEqual(stream.process(mic, ref), (() => {
    const fresh = vqe.stream({ sampleRate, block });
    return fresh.process(mic, ref);
  })());
  stream.close();
}
const stream = vqe.stream({ sampleRate: 48000, block: 480 });
await refused(() => stream.process(new Float32Array(481), null), /480 at a time/);
await refused(() => stream.process(new Float32Array(480), new Float32Array(479)), /as long/);
await refused(() => vqe.stream({ block: 0 }), /a block of 0/);
await refused(() => vqe.stream({ sampleRate: 1 }), /sample rate of 1 Hz/);
assert(stream.process(new Float32Array(480).fill(NaN), null).every(Number.isFinite));

// A model that runs away costs a hop, and nothing comes out of its place.
for (const failing of [3, 7]) {
  const [broken, whole] = [vqe.stream({ sampleRate: 48000, block: 480 }), vqe.stream({ sampleRate: 48000, block: 480 })];
  let calls = 0;
  const { session } = broken;
  const compute = session.process.bind(session);
  session.process = (m, r, o) => {
    compute(m, r, o);
    if (++calls === failing) {
      o.fill(0);
      throw new LocalVQEError('ran away');
    }
  };
  let thrown = 0;
  const tail = [[], []];
  for (let i = 0; i < 40; ++i) {
    const block = sine(500 + i, 48000, 480);
    const out = new Float32Array(480);
    try {
      broken.process(block, null, out);
    } catch (error) {
      assert(error instanceof LocalVQEError);
      thrown += 1;
    }
    tail[0].push(...out);
    tail[1].push(...whole.process(block, null));
  }
  assert.equal(thrown, 1);
  assert.deepEqual(tail[0].slice(-4800), tail[1].slice(-4800));
}

// Resampling: tones pass, what would alias does not, blocks leave no trace.
for (const rate of [44100, 48000, 96000]) {
  const there = resample(sine(6000, rate, rate), rate, 16000);
  const back = resample(there, 16000, rate);
  const power = (samples) => samples.slice(rate / 4, rate / 2).reduce((sum, x) => sum + x * x, 0);
  const tone = sine(6000, rate, rate);
  const error = power(back.map((x, i) => x - tone[i])) / power(back);
  assert(error < 1e-8, `6 kHz at ${rate}: ${error}`);
  const alias = resample(sine(8600, rate, rate), rate, 16000).slice(2000, 14000);
  assert(Math.max(...alias) < 1e-4, `8.6 kHz at ${rate} leaves ${Math.max(...alias)}`);
  const pieces = new Resampler(rate, 16000);
  const input = sine(1234, rate, 3000);
  const joined = [0, 1, 2].flatMap((i) => [...pieces.push(input.subarray(i * 1000, (i + 1) * 1000))]);
  assert.deepEqual(joined, [...new Resampler(rate, 16000).push(input)]);
}

// What is heard instead: the microphone, as late, without a step; and the model rests where it takes too long.
const dry = new DryPath(1000, 0.005);
const mic = sine(10, 1000, 200);
const mixed = new Float32Array(200).fill(0.9);
dry.mix(mic, mixed, false);
assert(Math.abs(mixed[100] - mic[95]) < 1e-6);
assert(mixed.every((x, i) => i === 0 || Math.abs(x - mixed[i - 1]) < 0.15));
const guard = new LoadGuard(0.016);
const second = (spent) => {
  for (let i = 0; i < 63; ++i) {
    guard.passed(0.016);
    if (!guard.resting) {
      guard.computed(spent);
    }
  }
};
second(0.004);
assert(!guard.resting && Math.abs(guard.load - 0.25) < 1e-9);
second(0.015);
assert(guard.resting);
for (let i = 0; i < 5; ++i) {
  second(0.004);
}
assert(!guard.resting && Math.abs(guard.load - 0.25) < 1e-9);

vqe.close();
kalman.close();
await refused(() => vqe.stream(), /closed/);
console.log('ok');
