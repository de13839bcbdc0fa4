// The compiled engine: one WebAssembly module, the few functions of the system that it imports, and its C interface.
// Runs in pages, workers, worklets (which have neither TextDecoder nor performance) and Node.

import { LocalVQEError } from './errors.js';

export const SAMPLE_RATE = 16000;
export const HOP = 256;

const SUCCESS = 0;
const BAD_DESCRIPTOR = 8; // errno of WASI

/** The imports: no files, no environment, and a clock that nobody asks unless a profile is on. */
function system() {
  return {
    env: { emscripten_notify_memory_growth() {} },
    wasi_snapshot_preview1: {
      proc_exit(code) {
        throw new LocalVQEError(`the engine stopped with code ${code}; load it again`);
      },
      environ_sizes_get(count, bytes) {
        this.view().setUint32(count, 0, true);
        this.view().setUint32(bytes, 0, true);
        return SUCCESS;
      },
      environ_get: () => SUCCESS,
      clock_time_get(clock, precision, time) {
        this.view().setBigUint64(time, BigInt(Date.now()) * 1000000n, true);
        return SUCCESS;
      },
      fd_write: () => BAD_DESCRIPTOR,
      fd_read: () => BAD_DESCRIPTOR,
      fd_seek: () => BAD_DESCRIPTOR,
      fd_close: () => BAD_DESCRIPTOR,
    },
  };
}

export class Engine {
  /** @param {BufferSource} bytes the module, as dist/localvqe.wasm holds it */
  static async create(bytes) {
    const imports = system();
    const calls = imports.wasi_snapshot_preview1;
    let memory = null;
    const here = { view: () => new DataView(memory.buffer) };
    for (const [name, call] of Object.entries(calls)) {
      calls[name] = call.bind(here);
    }
    let instance;
    try {
      ({ instance } = await WebAssembly.instantiate(bytes, imports));
    } catch (error) {
      throw new LocalVQEError(`the engine does not start here, which takes WebAssembly with SIMD and exceptions: ${error.message}`);
    }
    memory = instance.exports.memory;
    instance.exports._initialize?.();
    return new Engine(instance.exports);
  }

  constructor(exports) {
    this.calls = exports;
  }

  get version() {
    return this.text(this.calls.localvqe_version());
  }

  get kernels() {
    return this.text(this.calls.localvqe_kernels());
  }

  /** Bytes that the module's memory takes; it grows and never shrinks. */
  get memoryBytes() {
    return this.calls.memory.buffer.byteLength;
  }

  /** A text of the engine, which are ASCII. */
  text(pointer) {
    const bytes = new Uint8Array(this.calls.memory.buffer, pointer);
    let text = '';
    for (let i = 0; bytes[i] !== 0; ++i) {
      text += String.fromCharCode(bytes[i]);
    }
    return text;
  }

  /** n floats of the module's memory. What is returned is invalid once that has grown: ask anew after every call. */
  floats(pointer, n) {
    return new Float32Array(this.calls.memory.buffer, pointer, n);
  }

  allocate(bytes) {
    const pointer = this.calls.malloc(bytes) >>> 0;
    if (pointer === 0) {
      throw new LocalVQEError(`the engine has no memory left for ${bytes} bytes`);
    }
    return pointer;
  }

  /** @param {Uint8Array} bytes a model file; returns its handle, for freeModel */
  loadModel(bytes) {
    if (bytes.byteLength === 0) {
      throw new LocalVQEError('the model: the file is empty');
    }
    const pointer = this.allocate(bytes.byteLength);
    try {
      new Uint8Array(this.calls.memory.buffer, pointer, bytes.byteLength).set(bytes);
      const model = this.calls.localvqe_model_load_memory(pointer, BigInt(bytes.byteLength)) >>> 0;
      if (model === 0) {
        throw new LocalVQEError(this.text(this.calls.localvqe_creation_error()));
      }
      return model;
    } finally {
      this.calls.free(pointer);
    }
  }

  freeModel(model) {
    this.calls.localvqe_model_free(model);
  }

  openSession(model) {
    return new Session(this, model);
  }
}

const MOST_HOPS = 64; // of one call

/** One stream of hops at 16 kHz, with its own memory in the module. */
export class Session {
  constructor(engine, model) {
    this.engine = engine;
    this.handle = engine.calls.localvqe_stream_new(model, 1, 8) >>> 0;
    if (this.handle === 0) {
      throw new LocalVQEError(engine.text(engine.calls.localvqe_creation_error()));
    }
    this.room = 0; // hops
    this.pointer = 0;
  }

  #makeRoom(hops) {
    if (hops > this.room) {
      this.engine.calls.free(this.pointer);
      this.room = 0;
      this.pointer = 0;
      this.pointer = this.engine.allocate(3 * hops * HOP * 4);
      this.room = hops;
    }
  }

  /** Whole hops of mic and ref into out, which lags by one hop. May be one array. */
  process(mic, ref, out) {
    const { calls } = this.engine;
    for (let at = 0; at < mic.length; at += MOST_HOPS * HOP) {
      const n = Math.min(mic.length - at, MOST_HOPS * HOP);
      this.#makeRoom(n / HOP);
      const [m, r, o] = [0, 1, 2].map((i) => this.pointer + i * n * 4);
      this.engine.floats(m, n).set(mic.subarray(at, at + n));
      this.engine.floats(r, n).set(ref.subarray(at, at + n));
      const code = calls.localvqe_process_hops_f32(this.handle, m, r, n / HOP, o);
      out.set(this.engine.floats(o, n), at);
      if (code !== 0) {
        throw new LocalVQEError(this.engine.text(calls.localvqe_last_error(this.handle)));
      }
    }
  }

  /** Seconds by which the far end currently seems to lag. */
  get echoDelay() {
    const hops = this.engine.calls.localvqe_current_delay(this.handle, 0);
    return (Math.max(hops, 0) * HOP) / SAMPLE_RATE;
  }

  reset() {
    this.engine.calls.localvqe_reset(this.handle);
  }

  close() {
    if (this.handle !== 0) {
      this.engine.calls.localvqe_free(this.handle);
      this.engine.calls.free(this.pointer);
      this.handle = 0;
      this.pointer = 0;
      this.room = 0;
    }
  }
}
