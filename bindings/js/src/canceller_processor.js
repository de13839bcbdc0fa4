// The canceller on the audio thread: input 0 is the microphone, input 1 the far end, both on the context's clock.
/* global AudioWorkletProcessor, registerProcessor, sampleRate */

import { Engine, HOP, SAMPLE_RATE } from './engine.js';
import { DryPath, LoadGuard } from './guard.js';
import { Stream } from './stream.js';

const QUANTUM = globalThis.renderQuantumSize ?? 128;
const REPORTS_PER_SECOND = 4;

const clock = globalThis.performance === undefined ? () => Date.now() : () => performance.now(); // ms; worklets may lack it

function peak(samples, before) {
  let top = before;
  for (const x of samples) {
    top = Math.max(top, Math.abs(x));
  }
  return top;
}

class CancellerProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.enabled = processorOptions.enabled;
    this.closed = false;
    this.stream = null;
    this.frames = 0;
    this.levels = [0, 0, 0];
    this.silence = new Float32Array(QUANTUM);
    this.port.onmessage = ({ data }) => this.#receive(data);
    this.#start(processorOptions).catch((error) => this.port.postMessage({ error: error.message }));
  }

  async #start({ wasm, model, live }) {
    // Compiled beside the audio thread; until it is there, the microphone passes through.
    const engine = await Engine.create(wasm);
    const handle = engine.loadModel(model);
    const stream = new Stream(engine.openSession(handle), sampleRate, QUANTUM);
    engine.freeModel(handle); // the session keeps it
    this.guard = new LoadGuard(HOP / SAMPLE_RATE);
    if (live) {
      stream.clock = clock;
      stream.onhop = (seconds) => this.guard.computed(seconds);
    }
    this.dry = new DryPath(sampleRate, stream.delay);
    this.dry.share = this.enabled ? 1 : 0;
    this.stream = stream;
    this.port.postMessage({ ready: { delay: stream.delay } });
  }

  #receive(data) {
    if ('enabled' in data) {
      this.enabled = data.enabled;
    }
    if (data.reset && this.stream !== null) {
      this.stream.session.reset();
    }
    if (data.close) {
      this.closed = true;
      this.stream?.close();
      this.stream = null;
    }
  }

  process([micInput, farInput], [output]) {
    if (this.closed) {
      return false;
    }
    const out = output[0];
    // An input without a connection has no channels, and counts as silence, so that both stay in step.
    const mic = micInput[0] ?? this.silence;
    const far = farInput[0] ?? this.silence;
    if (this.stream === null) {
      out.set(mic);
      return true;
    }
    this.stream.resting = this.guard.resting;
    try {
      this.stream.process(mic, far, out);
    } catch (error) {
      this.port.postMessage({ warning: error.message }); // a model that ran away
    }
    this.guard.passed(out.length / sampleRate);
    this.dry.mix(mic, out, this.enabled && !this.guard.resting);
    this.levels = [peak(mic, this.levels[0]), peak(far, this.levels[1]), peak(out, this.levels[2])];
    this.#report(out.length);
    return true;
  }

  #report(frames) {
    this.frames += frames;
    if (this.frames < sampleRate / REPORTS_PER_SECOND) {
      return;
    }
    this.frames = 0;
    const [mic, far, out] = this.levels;
    this.levels = [0, 0, 0];
    this.port.postMessage({
      report: {
        load: this.guard.load,
        resting: this.guard.resting,
        delay: this.stream.delay,
        echoDelay: this.stream.echoDelay,
        peaks: { mic, far, out },
      },
    });
  }
}

registerProcessor('localvqe-canceller', CancellerProcessor);
