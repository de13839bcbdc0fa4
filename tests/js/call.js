// Runs in the demo page: a call of some seconds through the canceller, with Chromium's microphone and a voice of its own.
async (seconds, model) => {
  const { createEchoCanceller, microphoneConstraints } = await import('./localvqe/src/index.js');
  const context = new AudioContext({ sampleRate: 48000 });
  await context.resume();
  const mic = await navigator.mediaDevices.getUserMedia(microphoneConstraints);
  const voice = context.createBufferSource();
  voice.buffer = await context.decodeAudioData(await (await fetch('sample_ref.wav')).arrayBuffer());
  voice.loop = true;
  voice.connect(context.destination);
  const canceller = await createEchoCanceller(context, { mic, far: voice, model });
  const said = [];
  const reports = [];
  canceller.addEventListener('report', ({ detail }) => reports.push(detail));
  canceller.addEventListener('warning', ({ detail }) => said.push(detail));
  canceller.addEventListener('error', ({ detail }) => said.push(detail));
  await context.audioWorklet.addModule('recorder_worklet.js');
  const recorder = new AudioWorkletNode(context, 'recorder', { numberOfInputs: 2, numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
  context.createMediaStreamSource(mic).connect(recorder, 0, 0);
  // What a call would send: the canceller's stream, and not its node.
  context.createMediaStreamSource(canceller.stream).connect(recorder, 0, 1);
  let blocks = 0;
  let longestSilence = [0, 0];
  let silence = [0, 0];
  const energy = [0, 0];
  recorder.port.onmessage = ({ data }) => {
    ++blocks;
    data.forEach((block, i) => {
      const power = block.reduce((sum, x) => sum + x * x, 0);
      energy[i] += power;
      silence[i] = power === 0 ? silence[i] + 1 : 0;
      longestSilence[i] = Math.max(longestSilence[i], silence[i]);
    });
  };
  voice.start();
  await new Promise((resolve) => setTimeout(resolve, 1000)); // everything runs
  const start = { wall: performance.now(), sound: context.currentTime, underruns: context.playbackStats?.underrunEvents };
  blocks = 0;
  silence = [0, 0];
  longestSilence = [0, 0];
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const result = {
    wall: (performance.now() - start.wall) / 1000,
    sound: context.currentTime - start.sound,
    blocks,
    longestSilence,
    underruns: context.playbackStats === undefined ? null : context.playbackStats.underrunEvents - start.underruns,
    reports: reports.length,
    rested: reports.some(({ resting }) => resting),
    load: reports.slice(-8).map(({ load }) => load),
    delay: canceller.delay,
    echoDelay: reports.at(-1)?.echoDelay,
    decibels: 10 * Math.log10(energy[0] / energy[1]),
    said,
    track: canceller.stream.getAudioTracks()[0].readyState,
  };
  canceller.close();
  mic.getTracks().forEach((track) => track.stop());
  await context.close();
  return JSON.stringify(result);
}
