// Hands the page what its inputs hear, block by block and in step.
registerProcessor('recorder', class extends AudioWorkletProcessor {
  process(inputs) {
    const blocks = inputs.map((channels) => (channels[0] ?? new Float32Array(128)).slice());
    this.port.postMessage(blocks, blocks.map((block) => block.buffer));
    return true;
  }
});
