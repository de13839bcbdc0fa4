// The tab for live sound: microphone, test voice, canceller, and a recording of a few seconds to listen to afterwards.

import { createEchoCanceller, microphoneConstraints } from './localvqe/src/index.js';
import { RATE } from './sound.js';

const RECORDED_SECONDS = 8;

const element = (id) => document.getElementById(id);

function decibels(peak) {
  return Math.max(-60, 20 * Math.log10(peak + 1e-6));
}

export function setUpLive(player, model) {
  let call = null; // what runs
  let starting = false;
  const chosenModel = model(() => restart());

  function say(text, problem = false) {
    element('live-status').textContent = text;
    element('live-status').classList.toggle('problem', problem);
  }

  function pressed(id) {
    return element(id).getAttribute('aria-pressed') === 'true';
  }

  function show(running) {
    element('start').textContent = running ? 'Stop' : 'Start the microphone';
    for (const id of ['enabled', 'voice', 'record']) {
      element(id).disabled = !running;
    }
    if (!running) {
      for (const name of ['mic', 'far', 'out']) {
        element(`level-${name}`).value = -60;
      }
    }
  }

  async function voiceSource(context) {
    const answer = await fetch('sample_ref.wav');
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(await answer.arrayBuffer());
    source.loop = true;
    const gain = context.createGain();
    source.connect(gain).connect(context.destination);
    source.start();
    return gain;
  }

  async function start() {
    const context = new AudioContext({ latencyHint: 'interactive' });
    const parts = { context };
    try {
      await context.resume();
      parts.mic = await navigator.mediaDevices.getUserMedia(microphoneConstraints);
      parts.voice = await voiceSource(context);
      parts.voice.gain.value = pressed('voice') ? 1 : 0;
      parts.canceller = await createEchoCanceller(context, {
        mic: parts.mic, far: parts.voice, model: chosenModel(), enabled: pressed('enabled'),
      });
    } catch (error) {
      end(parts);
      throw error.name === 'NotAllowedError' ? new Error('The microphone was not allowed; allow it in the address bar and start again.') : error;
    }
    parts.canceller.addEventListener('report', ({ detail }) => report(detail));
    parts.canceller.addEventListener('error', ({ detail }) => say(detail, true));
    return parts;
  }

  function end(parts) {
    parts.canceller?.close();
    parts.mic?.getTracks().forEach((track) => track.stop());
    parts.context.close();
  }

  let resting = false;
  function report({ load, delay, echoDelay, peaks, resting: now }) {
    for (const [name, peak] of Object.entries(peaks)) {
      element(`level-${name}`).value = decibels(peak);
    }
    element('load').textContent = `${(100 * load).toFixed(load < 0.1 ? 1 : 0)} %`;
    element('delay').textContent = `${(1000 * delay).toFixed(0)} ms`;
    element('echo-delay').textContent = `${(1000 * echoDelay).toFixed(0)} ms`;
    if (now !== resting) {
      resting = now;
      say(now ? 'The model takes too long here: you hear the microphone as it is.' : 'Running.');
    }
  }

  async function toggle() {
    if (starting) {
      return;
    }
    if (call !== null) {
      end(call);
      call = null;
      show(false);
      say('Stopped.');
      return;
    }
    starting = true;
    say('Starting …');
    try {
      call = await start();
      show(true);
      say('Running.');
    } catch (error) {
      say(error.message, true);
    }
    starting = false;
  }

  async function restart() {
    if (call !== null) {
      await toggle();
      await toggle();
    }
  }

  async function record() {
    const { context, canceller, mic, voice } = call;
    element('record').disabled = true;
    say(`Recording ${RECORDED_SECONDS} seconds: speak while the voice plays.`);
    await context.audioWorklet.addModule('recorder_worklet.js');
    const recorder = new AudioWorkletNode(context, 'recorder', { numberOfInputs: 2, numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    const source = context.createMediaStreamSource(mic);
    source.connect(recorder, 0, 0);
    canceller.node.connect(recorder, 0, 1);
    const late = Math.round(canceller.delay * context.sampleRate);
    const wanted = RECORDED_SECONDS * context.sampleRate + late;
    const [before, after] = [new Float32Array(wanted), new Float32Array(wanted)];
    let at = 0;
    await new Promise((resolve) => {
      recorder.port.onmessage = ({ data: [dry, clean] }) => {
        before.set(dry.subarray(0, wanted - at), at);
        after.set(clean.subarray(0, wanted - at), at);
        at = Math.min(wanted, at + dry.length);
        if (at === wanted || call?.context !== context) {
          resolve();
        }
      };
      context.addEventListener('statechange', () => context.state === 'closed' && resolve());
    });
    if (call?.context !== context) {
      return;
    }
    source.disconnect(recorder);
    canceller.node.disconnect(recorder);
    voice.gain.value = 0; // or it would speak into what is heard now
    element('voice').setAttribute('aria-pressed', 'false');
    const [heard, cleaned] = await Promise.all([before.subarray(0, wanted - late), after.subarray(late)].map((samples) => slower(samples, context.sampleRate)));
    player.show(heard, cleaned);
    element('record').disabled = false;
    say('Recorded. Listen below; the test voice is off meanwhile.');
    element('result').scrollIntoView({ block: 'nearest' });
  }

  element('start').addEventListener('click', toggle);
  element('record').addEventListener('click', () => record().catch((error) => say(error.message, true)));
  for (const [id, apply] of [['enabled', (on) => { call.canceller.enabled = on; }], ['voice', (on) => { call.voice.gain.value = on ? 1 : 0; }]]) {
    element(id).addEventListener('click', () => {
      const on = !pressed(id);
      element(id).setAttribute('aria-pressed', String(on));
      apply(on);
    });
  }
  show(false);
}

/** At 16 kHz, as the player has it. */
async function slower(samples, rate) {
  const context = new OfflineAudioContext(1, Math.round((samples.length * RATE) / rate), RATE);
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}
