// Sound files: in, by the browser's decoders; out, as WAV.

export const RATE = 16000;

/** One channel at 16 kHz. Throws an Error in words for the reader. */
export async function decode(blob, name) {
  const context = new OfflineAudioContext(1, 1, RATE);
  let buffer;
  try {
    buffer = await context.decodeAudioData(await blob.arrayBuffer());
  } catch {
    throw new Error(`${name} is no sound that this browser can decode; try WAV, FLAC, MP3 or Opus`);
  }
  const mono = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; ++channel) {
    buffer.getChannelData(channel).forEach((x, i) => { mono[i] += x; });
  }
  return buffer.numberOfChannels === 1 ? mono : mono.map((x) => x / buffer.numberOfChannels);
}

/** 16-bit WAV, one channel. */
export function wavBlob(samples, rate = RATE) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, 'WAVEfmt ');
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, 'data');
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => bytes.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(x * 32768))), true));
  return new Blob([bytes], { type: 'audio/wav' });
}

/** Mean level in dB of full scale, -99 for silence. */
export function level(samples) {
  let sum = 0;
  for (const x of samples) {
    sum += x * x;
  }
  return sum === 0 ? -99 : 10 * Math.log10(sum / samples.length);
}
