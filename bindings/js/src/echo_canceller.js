// The canceller as a page uses it: a node on the audio thread, and what is connected to it.

import { LocalVQEError } from './errors.js';
import { parts } from './localvqe.js';

const WORKLET = new URL('../dist/worklet.js', import.meta.url);

/** What to ask getUserMedia for: a canceller of our own wants the microphone as it is. */
export const microphoneConstraints = {
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 },
};

const prepared = new WeakMap(); // context -> promise that the worklet is there

function prepare(context) {
  if (context.audioWorklet === undefined) {
    throw new LocalVQEError('no AudioWorklet here: a page needs https or localhost');
  }
  if (!prepared.has(context)) {
    const adding = context.audioWorklet.addModule(WORKLET).catch((error) => {
      prepared.delete(context);
      throw new LocalVQEError(`${WORKLET} cannot be loaded: ${error.message}`);
    });
    prepared.set(context, adding);
  }
  return prepared.get(context);
}

export class EchoCanceller extends EventTarget {
  /** Use createEchoCanceller. */
  constructor(node, sources, output, enabled) {
    super();
    this.node = node;
    this.delay = 0;
    this.stream = output?.stream ?? null;
    this.sources = sources;
    this.output = output;
    this.on = enabled;
  }

  get enabled() {
    return this.on;
  }

  set enabled(on) {
    this.on = Boolean(on);
    this.node.port.postMessage({ enabled: this.on });
  }

  reset() {
    this.node.port.postMessage({ reset: true });
  }

  close() {
    this.node.port.postMessage({ close: true });
    for (const { source, helper, input } of this.sources) {
      source.disconnect(this.node, 0, input);
      helper?.pause();
    }
    this.sources = [];
    this.node.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  /** Takes messages of the audio thread; resolves once the model is there. */
  listen() {
    return new Promise((resolve, reject) => {
      this.node.onprocessorerror = () => {
        reject(new LocalVQEError('the canceller failed on the audio thread'));
        this.#tell('error', 'the canceller failed on the audio thread; create it anew');
      };
      this.node.port.onmessage = ({ data }) => {
        if (data.ready) {
          this.delay = data.ready.delay;
          resolve();
        } else if (data.error) {
          reject(new LocalVQEError(data.error));
        } else if (data.warning) {
          this.#tell('warning', data.warning);
        } else if (data.report) {
          this.dispatchEvent(new CustomEvent('report', { detail: data.report }));
        }
      };
    });
  }

  #tell(kind, message) {
    this.dispatchEvent(new CustomEvent(kind, { detail: message }));
  }
}

function connect(context, what, node, input) {
  if (what === null || what === undefined) {
    return null;
  }
  let source = what;
  let helper = null;
  if (typeof MediaStream !== 'undefined' && what instanceof MediaStream) {
    // Chromium gives a call's stream to Web Audio only while an element plays it as well.
    helper = new Audio();
    helper.muted = true;
    helper.srcObject = what;
    helper.play().catch(() => {}); // it is of no use for other streams, and not needed there
    source = context.createMediaStreamSource(what);
  }
  source.connect(node, 0, input);
  return { source, helper, input };
}

export async function createEchoCanceller(context, { mic, far, model = 'default', sha256, enabled = true }) {
  if (mic === null || mic === undefined) {
    throw new LocalVQEError('no microphone: mic is a MediaStream or an AudioNode');
  }
  const [made] = await Promise.all([parts({ model, sha256 }), prepare(context)]);
  const node = new AudioWorkletNode(context, 'localvqe-canceller', {
    numberOfInputs: 2,
    numberOfOutputs: 1,
    outputChannelCount: [1],
    channelCount: 1,
    channelCountMode: 'explicit',
    // A context that renders to a buffer may take its time.
    processorOptions: { ...made, enabled, live: !(context instanceof OfflineAudioContext) },
  });
  // Contexts that render to a buffer have no streams; there the node is what to connect.
  const output = context.createMediaStreamDestination?.() ?? null;
  if (output !== null) {
    node.connect(output);
  }
  const sources = [];
  const canceller = new EchoCanceller(node, sources, output, enabled);
  try {
    sources.push(...[connect(context, mic, node, 0), connect(context, far, node, 1)].filter((made) => made !== null));
    await canceller.listen();
  } catch (error) {
    canceller.close();
    throw error;
  }
  return canceller;
}
