// A live stream at any sample rate, in blocks of any length: rates down, whole hops through the engine, rate up.

import { HOP, SAMPLE_RATE } from './engine.js';
import { LocalVQEError } from './errors.js';
import { Resampler } from './resampler.js';

/** Samples in the order they came. */
class Fifo {
  constructor() {
    this.samples = new Float32Array(4096);
    this.first = 0;
    this.length = 0;
  }

  push(samples) {
    if (this.first + this.length + samples.length > this.samples.length) {
      const room = Math.max(this.samples.length, 2 * (this.length + samples.length));
      const next = room === this.samples.length ? this.samples : new Float32Array(room);
      next.set(this.samples.subarray(this.first, this.first + this.length));
      this.samples = next;
      this.first = 0;
    }
    this.samples.set(samples, this.first + this.length);
    this.length += samples.length;
  }

  /** Into the whole of out; the caller knows that there are as many. */
  pop(out) {
    out.set(this.samples.subarray(this.first, this.first + out.length));
    this.first += out.length;
    this.length -= out.length;
  }
}

/**
 * Silence to begin with, so that blocks never have to wait: the most by which what came out lies behind what went in.
 * Which samples come when depends on counts alone, and repeats.
 */
function silenceNeeded(down, up, rate, block) {
  let most = 0;
  // After so many samples both the hops and the blocks start anew.
  const hopSamples = (HOP * rate) / SAMPLE_RATE;
  let period = block;
  while (period % hopSamples !== 0 && period < 4 * rate) {
    period += block;
  }
  const start = 2 * (block + hopSamples + down.lookahead + up.lookahead * rate);
  for (let n = block; n <= start + period; n += block) {
    const hops = Math.floor(down.outputsAfter(n) / HOP);
    most = Math.max(most, n - up.outputsAfter(hops * HOP));
  }
  return most;
}

export class Stream {
  /**
   * @param {import('./engine.js').Session} session which the stream owns
   * @param {number} sampleRate of everything that goes in and comes out
   * @param {number} block samples that come together; the delay is as long as these need
   */
  constructor(session, sampleRate, block) {
    if (!Number.isInteger(block) || block < 1 || block > 65536) {
      throw new LocalVQEError(`a block of ${block} samples; expected 1 to 65536`);
    }
    this.session = session;
    this.sampleRate = sampleRate;
    this.block = block;
    this.down = [new Resampler(sampleRate, SAMPLE_RATE), new Resampler(sampleRate, SAMPLE_RATE)];
    this.up = new Resampler(SAMPLE_RATE, sampleRate);
    this.silence = silenceNeeded(this.down[0], this.up, sampleRate, block);
    /** Seconds from a sample's way in to its way out. */
    this.delay = this.silence / sampleRate + HOP / SAMPLE_RATE;
    /** Lets the engine rest: what comes out is the microphone, as late as ever. */
    this.resting = false;
    /** Called with the seconds that an engine call took, where a clock is given. */
    this.onhop = null;
    this.clock = null;
    this.hop = [0, 1, 2, 3].map(() => new Float32Array(HOP)); // mic, ref, out, mic of the hop before
    this.#start();
  }

  #start() {
    this.waiting = [new Fifo(), new Fifo()];
    this.ready = new Fifo();
    this.ready.push(new Float32Array(this.silence));
    this.hop[3].fill(0);
  }

  /**
   * Returns as many samples as mic has, `delay` seconds late.
   * @param {Float32Array} mic what the microphone heard
   * @param {Float32Array | null} ref what the loudspeaker was given meanwhile, as long; null is silence
   * @param {Float32Array} [out] is filled and returned; may be mic
   */
  process(mic, ref, out = new Float32Array(mic.length)) {
    ref = ref ?? new Float32Array(mic.length);
    if (ref.length !== mic.length || out.length !== mic.length) {
      throw new LocalVQEError(`mic has ${mic.length} samples, ref ${ref.length}, out ${out.length}; they must be as long`);
    }
    if (mic.length !== this.block) {
      if (mic.length % this.block !== 0) {
        throw new LocalVQEError(`${mic.length} samples; this stream takes ${this.block} at a time, or a multiple`);
      }
      for (let at = 0; at < mic.length; at += this.block) {
        const part = (samples) => samples.subarray(at, at + this.block);
        this.process(part(mic), part(ref), part(out));
      }
      return out;
    }
    this.waiting[0].push(this.down[0].push(mic));
    this.waiting[1].push(this.down[1].push(ref));
    const [m, r, o] = this.hop;
    let failure = null;
    while (this.waiting[0].length >= HOP) {
      this.waiting[0].pop(m);
      this.waiting[1].pop(r);
      try {
        this.#compute(m, r, o);
      } catch (error) {
        failure = error; // the engine gave silence and began anew; what comes after must stay in its place
      }
      this.ready.push(this.up.push(o));
    }
    this.ready.pop(out);
    if (failure !== null) {
      throw failure;
    }
    return out;
  }

  #compute(mic, ref, out) {
    const before = this.hop[3];
    if (this.resting) {
      out.set(before);
    } else {
      const start = this.clock === null ? 0 : this.clock();
      this.session.process(mic, ref, out);
      if (this.clock !== null) {
        this.onhop((this.clock() - start) / 1000);
      }
    }
    before.set(mic);
  }

  /** Seconds by which the model currently sees the far end lag behind its reference. */
  get echoDelay() {
    return this.session.echoDelay;
  }

  /** Forgets everything heard so far. */
  reset() {
    this.session.reset();
    for (const resampler of [...this.down, this.up]) {
      resampler.reset();
    }
    this.#start();
  }

  /** Gives its memory back; it is of no use afterwards. */
  close() {
    this.session.close();
  }
}
