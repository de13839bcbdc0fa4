// A model that is loaded, for whole clips and for streams.

import { Engine, HOP, SAMPLE_RATE } from './engine.js';
import { LocalVQEError } from './errors.js';
import { modelBytes, wasmBytes } from './files.js';
import { resample } from './resampler.js';
import { Stream } from './stream.js';

let shared = null; // the module's bytes, once for all models

function sharedWasm() {
  shared ??= wasmBytes().catch((error) => {
    shared = null; // the next one may try again
    throw error;
  });
  return shared;
}

/** What an engine in another place, a worklet say, is made of: the module's bytes and the model's. */
export async function parts({ model = 'default', sha256 } = {}) {
  const [wasm, file] = await Promise.all([sharedWasm(), modelBytes(model, sha256)]);
  return { wasm, model: file };
}

export class LocalVQE {
  /** See types/index.d.ts, which documents all of this for users. */
  static async load(options = {}) {
    const { wasm, model } = await parts(options);
    const engine = await Engine.create(wasm);
    return new LocalVQE(engine, engine.loadModel(model));
  }

  constructor(engine, model) {
    this.engine = engine;
    this.model = model;
  }

  get version() {
    return this.engine.version;
  }

  get kernels() {
    return this.engine.kernels;
  }

  process(mic, ref, { sampleRate = SAMPLE_RATE } = {}) {
    this.#checkOpen();
    const [m, r] = [mic, ref ?? new Float32Array(0)].map((samples) => {
      checkSamples(samples);
      return sampleRate === SAMPLE_RATE ? samples : resample(samples, sampleRate, SAMPLE_RATE);
    });
    // One hop more, since the output lags by one.
    const length = (Math.ceil(m.length / HOP) + 1) * HOP;
    const [padded, reference] = [m, r].map((samples) => {
      const whole = new Float32Array(length);
      whole.set(samples.subarray(0, m.length));
      return whole;
    });
    const session = this.engine.openSession(this.model);
    try {
      session.process(padded, reference, padded);
    } finally {
      session.close();
    }
    const out = padded.subarray(HOP, HOP + m.length);
    return sampleRate === SAMPLE_RATE ? out.slice() : resample(out, SAMPLE_RATE, sampleRate).slice(0, mic.length);
  }

  stream({ sampleRate = SAMPLE_RATE, block = HOP } = {}) {
    this.#checkOpen();
    const session = this.engine.openSession(this.model);
    try {
      return new Stream(session, sampleRate, block);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  close() {
    if (this.model !== 0) {
      this.engine.freeModel(this.model);
      this.model = 0;
    }
  }

  #checkOpen() {
    if (this.model === 0) {
      throw new LocalVQEError('this model is closed; load it again');
    }
  }
}

function checkSamples(samples) {
  if (!(samples instanceof Float32Array)) {
    throw new LocalVQEError('samples are a Float32Array, one channel, -1 to 1');
  }
}
