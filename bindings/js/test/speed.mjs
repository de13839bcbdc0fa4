// Hops per second of builds of the engine, in alternation, so that a busy machine is busy for all of them.
// usage: node speed.mjs ROUNDS MODEL WASM...       (native/tests/... none: raw noise as input)
import { readFileSync } from 'node:fs';

import { Engine, HOP } from '../src/engine.js';

const [rounds, model, ...modules] = process.argv.slice(2);
const HOPS = 125; // two seconds
const noise = (level) => Float32Array.from({ length: HOPS * HOP }, () => level * (2 * Math.random() - 1));
const [mic, ref, out] = [noise(0.1), noise(0.1), new Float32Array(HOPS * HOP)];

const sessions = [];
for (const path of modules) {
  const engine = await Engine.create(readFileSync(path));
  const session = engine.openSession(engine.loadModel(new Uint8Array(readFileSync(model))));
  sessions.push({ path, session, times: [], kernels: engine.kernels });
}
const hops = (session) => {
  for (let at = 0; at < mic.length; at += HOP) {
    session.process(mic.subarray(at, at + HOP), ref.subarray(at, at + HOP), out.subarray(at, at + HOP));
  }
};
for (const { session } of sessions) {
  hops(session); // until the compiler has done its best
  hops(session);
}
for (let round = 0; round < Number(rounds); ++round) {
  for (const { session, times } of sessions) {
    const start = process.cpuUsage();
    hops(session);
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1000 / HOPS);
  }
}
for (const { path, times, kernels } of sessions) {
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))].toFixed(3);
  console.log(`${path} (${kernels}): median ${at(0.5)} ms a hop (${at(0)} to ${at(0.9)}), ${(times[times.length >> 1] / sessions[0].times[sessions[0].times.length >> 1]).toFixed(2)} of the first`);
}
