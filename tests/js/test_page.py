"""The demo page and the canceller in a real browser: what a visitor gets is what Node computes."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import package
import pages
import pytest
import soundfile as sf
from browser import Page
from call import call

HOP = 256


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    package.require()
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium on this machine")
    with pages.demo(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def text(page: Page, name: str) -> str:
    return str(page.run(f"document.getElementById('{name}').textContent"))


def wait(page: Page, script: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not page.run(script):
        assert time.monotonic() < deadline, f"{script} did not come true; {page.console}"
        time.sleep(0.05)


def wait_for(page: Page, name: str, start: str) -> None:
    wait(page, f"document.getElementById('{name}').textContent.startsWith('{start}')")


def in_node(folder: Path, model: str, mic: package.Samples, ref: package.Samples) -> package.Samples:
    """The clip, aligned: whole hops and one more."""
    length = (mic.size + HOP - 1) // HOP * HOP + HOP
    padded = [np.pad(samples, (0, length - samples.size)) for samples in (mic, ref)]
    return package.process(folder, model, *padded)[0][HOP : HOP + mic.size]


def from_page(page: Page, promise: str) -> bytes:
    """The bytes of an ArrayBuffer."""
    encode = "(bytes) => btoa(new Uint8Array(bytes).reduce((text, byte) => text + String.fromCharCode(byte), ''))"
    return base64.b64decode(page.run(f"({promise}).then({encode})"))


def downloaded(page: Page) -> package.Samples:
    content = from_page(page, "fetch(document.getElementById('download').href).then((answer) => answer.arrayBuffer())")
    samples, rate = sf.read(io.BytesIO(content), dtype="int16")
    assert rate == 16000
    return samples


def decoded(page: Page, side: str) -> package.Samples:
    """The sample pair as this browser reads it: Chromium divides positive samples by 32767."""
    script = f"""Promise.all([import('./sound.js'), fetch('sample_{side}.wav').then((answer) => answer.blob())])
      .then(([sound, blob]) => sound.decode(blob, '')).then((samples) => samples.buffer)"""
    return np.frombuffer(from_page(page, script), "<f4")


def test_the_page_cleans_the_sample_pair_as_node_does(page: Page, tmp_path: Path) -> None:
    mic, ref = (decoded(page, side) for side in ("mic", "ref"))
    assert np.abs(mic - pages.sample("mic")).max() < 1e-4
    page.run("document.getElementById('sample').click()")
    for model in ("default", "denoise"):
        if model == "denoise":
            page.run("document.querySelector('[value=denoise]').click()")
            wait_for(page, "recordings-status", "Cleaning")
        wait_for(page, "recordings-status", "Done")
        expected = in_node(tmp_path, model, mic, ref)
        got = downloaded(page)
        assert got.size == expected.size
        assert np.abs(got - np.clip(expected * 32768, -32768, 32767)).max() <= 0.501
    assert "quieter" in text(page, "summary")
    page.run("document.querySelector('[value=default]').click()")
    wait_for(page, "recordings-status", "Done")
    assert not page.console


def test_a_file_that_is_no_sound_is_refused_in_words(page: Page) -> None:
    script = """(() => {
      const files = new DataTransfer();
      files.items.add(new File(['not a sound'], 'letter.txt'));
      const input = document.getElementById('mic-file');
      input.files = files.files;
      input.dispatchEvent(new Event('change'));
    })()"""
    page.run(script)
    wait_for(page, "recordings-status", "letter.txt is no sound")


def test_before_and_after_play_at_the_same_position(page: Page) -> None:
    page.run("document.getElementById('play').click()")
    wait(page, "Number(document.getElementById('position').value) > 0.2")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="b", text="b" if kind == "keyDown" else "")
    assert page.run("document.querySelector('[name=heard]:checked').value") == "before"
    before = page.run("Number(document.getElementById('position').value)")
    wait(page, f"Number(document.getElementById('position').value) > {before}")
    page.run("document.getElementById('play').click()")
    assert text(page, "play") == "Play"


#: Renders mic and ref through the canceller's node, and what Stream makes of them; both as JSON.
OFFLINE = """async (rate) => {
  const { createEchoCanceller, LocalVQE } = await import('./localvqe/src/index.js');
  const signals = await Promise.all(['mic', 'ref'].map(async (side) => {
    const bytes = await (await fetch(`sample_${side}.wav`)).arrayBuffer();
    return (await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes)).getChannelData(0).slice(0, rate * 2);
  }));
  const length = Math.floor(signals[0].length / 128) * 128;
  const context = new OfflineAudioContext(1, length, rate);
  const [mic, far] = signals.map((samples) => {
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.start();
    return source;
  });
  const canceller = await createEchoCanceller(context, { mic, far });
  canceller.node.connect(context.destination);
  const rendered = (await context.startRendering()).getChannelData(0);
  const stream = (await LocalVQE.load()).stream({ sampleRate: rate, block: 128 });
  const expected = stream.process(signals[0].subarray(0, length), signals[1].subarray(0, length));
  const power = (samples) => samples.reduce((sum, x) => sum + x * x, 0);
  return JSON.stringify({
    worst: rendered.reduce((top, x, i) => Math.max(top, Math.abs(x - expected[i])), 0),
    delays: [canceller.delay, stream.delay],
    decibels: 10 * Math.log10(power(signals[0]) / power(rendered)),
  });
}"""


@pytest.mark.parametrize("rate", [48000, 44100])
def test_the_worklet_computes_what_a_stream_does(page: Page, rate: int) -> None:
    result: dict[str, Any] = json.loads(page.run(f"({OFFLINE})({rate})"))
    assert result["worst"] < 1e-6
    assert result["delays"][0] == result["delays"][1]
    assert result["delays"][0] < 0.037
    assert result["decibels"] > 3  # two seconds of echo alone


def test_a_call_from_the_microphone(page: Page) -> None:
    """Two seconds; ``tests/js/call.py`` is the long one, and looks for underruns, which a busy machine may have."""
    result = call(page, 2, "default")
    assert not result["said"]
    assert result["track"] == "live"
    assert result["reports"] >= 4
    assert result["blocks"] > 300
    assert np.isfinite(result["decibels"])


def test_a_bad_model_is_an_error_and_no_dead_node(page: Page) -> None:
    script = """(async () => {
      const { createEchoCanceller, LocalVQEError } = await import('./localvqe/src/index.js');
      const context = new OfflineAudioContext(1, 128, 48000);
      try {
        await createEchoCanceller(context, { mic: context.createBufferSource(), model: new Uint8Array(99) });
      } catch (error) {
        return `${error instanceof LocalVQEError} ${error.message}`;
      }
    })()"""
    assert page.run(script) == "true the model in memory: not a GGUF file"


def test_the_live_tab_runs_and_stops(page: Page) -> None:
    page.run("document.getElementById('tab-live').click()")
    page.run("document.getElementById('start').click()")
    wait_for(page, "live-status", "Running")
    wait(page, "document.getElementById('delay').textContent.endsWith('ms')")
    page.run("document.getElementById('enabled').click()")
    assert page.run("document.getElementById('enabled').getAttribute('aria-pressed')") == "false"
    wait(page, "document.getElementById('level-mic').value > -50")
    page.run("document.getElementById('start').click()")
    wait_for(page, "live-status", "Stopped")


def test_everything_can_be_named_and_reached_by_keyboard(page: Page) -> None:
    """Of each control: a name for screen readers. Tabs: arrow keys. Phone width: nothing to scroll sideways."""
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "tab", "radio", "slider", "link", "meter", "image"}
    found = [node for node in tree if not node.get("ignored") and node.get("role", {}).get("value") in controls]
    assert len(found) >= 10
    assert all(node.get("name", {}).get("value") for node in found), found
    page.run("document.getElementById('tab-live').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    assert page.run("document.activeElement.id") == "tab-recordings"
    assert page.run("document.getElementById('live').hidden") is True
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    assert page.run("document.documentElement.scrollWidth") <= 360
    page.call("Emulation.clearDeviceMetricsOverride")


def test_it_works_offline_after_the_first_visit(page: Page) -> None:
    wait(page, "navigator.serviceWorker.controller !== null || document.getElementById('offline').textContent !== ''")
    page.call("Network.enable")
    conditions = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", **conditions)
    page.open(str(page.run("location.href")))
    page.run("document.getElementById('sample').click()")
    wait_for(page, "recordings-status", "Done")
