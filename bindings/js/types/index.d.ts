/** What every failure of this package throws: one line that says what is wrong and what to do. */
export class LocalVQEError extends Error {}

/** 'default' (echo) and 'denoise' (noise as well) are in the package. A string is else an address, or in Node a path. */
export type Model = 'default' | 'denoise' | (string & {}) | URL | ArrayBuffer | Uint8Array;

export interface ModelOptions {
  /** 'default' if not given. */
  model?: Model;
  /** Of the model's file, 64 hexadecimal digits. Needed for an address, and checked. */
  sha256?: string;
}

/** A model that is loaded. Any number of clips and streams may use it. */
export class LocalVQE {
  private constructor();

  /** Throws LocalVQEError for a file that is no model, is damaged or cannot be had. */
  static load(options?: ModelOptions): Promise<LocalVQE>;

  /** Of the engine. */
  readonly version: string;
  readonly kernels: string;

  /**
   * A whole clip, one channel, -1 to 1. Returns as many samples as mic has, aligned with it.
   * @param mic what the microphone heard
   * @param ref what the loudspeaker played meanwhile; a shorter one ends in silence, null is silence
   * @param options sampleRate of all three, in Hz: 8000 to 384000, a multiple of 25; 16000 if not given
   */
  process(mic: Float32Array, ref: Float32Array | null, options?: { sampleRate?: number }): Float32Array;

  /**
   * A live stream with a memory of its own; close it after use.
   * @param options sampleRate as for process; block: samples that come together, 1 to 65536, 256 if not given
   */
  stream(options?: { sampleRate?: number; block?: number }): Stream;

  /** Gives the weights back. Streams that are open go on. */
  close(): void;
}

export class Stream {
  private constructor();

  /** Seconds from a sample's way in to its way out. */
  readonly delay: number;
  readonly sampleRate: number;
  readonly block: number;
  /** Seconds by which the model currently sees the echo lag behind its reference. */
  readonly echoDelay: number;

  /**
   * The next block, or several. Returns as many samples as mic has, `delay` seconds late; the first are silence.
   * NaN and infinite samples count as zero. Throws LocalVQEError where the model's weights make its output run away;
   * `out` then has silence for that hop, and the stream goes on.
   * @param mic a multiple of `block`
   * @param ref as long as mic; null is silence
   * @param out filled and returned, if given; may be mic
   */
  process(mic: Float32Array, ref: Float32Array | null, out?: Float32Array): Float32Array;

  /** Forgets everything heard so far. */
  reset(): void;

  /** Gives its memory back; it is of no use afterwards. */
  close(): void;
}

/** Constraints for getUserMedia: one channel, without the browser's own echo canceller, noise suppressor and gain. */
export const microphoneConstraints: MediaStreamConstraints;

export interface EchoCancellerOptions extends ModelOptions {
  mic: MediaStream | AudioNode;
  /** What the loudspeaker plays: the other side's stream, or a node. It is only listened to; playing it is yours. */
  far?: MediaStream | AudioNode | null;
  /** false begins with the microphone as it is; true if not given. */
  enabled?: boolean;
}

export interface Report {
  /** Share of the time that the model takes, of the latest half second; 1 is all of it. */
  load: number;
  /** True while the microphone passes through because the model could not keep up; it is tried again after a while. */
  resting: boolean;
  /** Seconds that the canceller adds. */
  delay: number;
  /** Seconds by which the model currently sees the echo lag behind the far end. */
  echoDelay: number;
  /** Largest samples since the last report. */
  peaks: { mic: number; far: number; out: number };
}

/**
 * A canceller on the audio thread. Events: 'report', four times a second, with a Report in `detail`; 'warning' and
 * 'error', with a text in `detail`.
 */
export class EchoCanceller extends EventTarget {
  private constructor();

  /** The cleaned microphone, to be sent or recorded; null in a context that renders to a buffer. */
  readonly stream: MediaStream | null;
  /** The same as a node, to be connected further. */
  readonly node: AudioWorkletNode;
  /** Seconds that the canceller adds. */
  readonly delay: number;
  /** false passes the microphone through, as late as ever, while the model goes on listening. */
  enabled: boolean;

  /** Forgets everything heard so far. */
  reset(): void;

  /** Ends it and its stream; the microphone is left alone. */
  close(): void;
}

/** Throws LocalVQEError. Reload nothing: any number of cancellers may run in a context. */
export function createEchoCanceller(context: BaseAudioContext, options: EchoCancellerOptions): Promise<EchoCanceller>;
