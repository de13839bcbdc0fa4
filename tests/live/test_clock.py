"""The line between a device's samples and the time, and reading across two of them."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_call import Device

from localvqe_cli.live.bridge import ClockBridge
from localvqe_cli.live.clock import DeviceClock


def follow(device: Device, seconds: float, seed: int = 1) -> tuple[DeviceClock, float]:
    """The clock after all arrivals, and what it took for lost."""
    clock, lost = DeviceClock(), 0.0
    for when, begin, end in device.arrivals(seconds, seed):
        lost += clock.push((end - begin) / device.rate, when)
    return clock, lost


@pytest.mark.parametrize("ppm", [-300.0, -100.0, 0.0, 100.0, 300.0])
def test_the_drift_is_found_from_late_blocks(ppm: float) -> None:
    stalls = [(20.0, 0.1), (31.0, 0.4), (50.0, 0.1)]
    for rate, block in ((48000, 480), (16000, 512)):
        device = Device(rate=rate, block=block, ppm=ppm, jitter=0.03, stalls=stalls)
        clock, lost = follow(device, 60.0)
        assert clock.ppm == pytest.approx(ppm, abs=20)
        assert lost == 0.0
        # Where the clock stands is known better than any block says.
        seconds = 60.0 * (1.0 + 1e-6 * ppm)
        assert clock.time_at(seconds) == pytest.approx(60.0, abs=0.002)
        assert clock.seconds_at(60.0) == pytest.approx(seconds, abs=0.002)


@pytest.mark.parametrize("length", [0.1, 3.0, 100.0])
def test_lost_samples_are_noticed_within_a_second(length: float) -> None:
    device = Device(ppm=200.0, jitter=0.02, away=[(30.0, length)])
    clock, lost = follow(device, 31.0 + length)
    assert clock.losses == 1
    assert lost == pytest.approx(length * 1.0002, abs=0.015)  # and a block
    assert clock.seconds_at(31.0 + length) == pytest.approx((31.0 + length) * 1.0002, abs=0.01)


def test_a_burst_after_a_stall_is_no_loss() -> None:
    clock, lost = follow(Device(jitter=0.005, stalls=[(10.0, 0.9), (14.0, 0.3)]), 20.0)
    assert (lost, clock.losses) == (0.0, 0)


def test_a_first_block_that_was_very_late_does_not_count() -> None:
    clock, _ = follow(Device(jitter=0.002, stalls=[(0.0, 2.0)]), 10.0)
    assert clock.time_at(clock.seconds) == pytest.approx(10.0, abs=0.012)


def test_what_is_read_is_the_place_that_was_captured_then() -> None:
    far, mic = Device(ppm=250.0, jitter=0.01), Device(block=256, ppm=-150.0, jitter=0.01)
    bridge, clock, n, errors = ClockBridge(16000, lag=256, step=256, most=2048), DeviceClock(), 0, []
    # The phase of a tone says where it was read.
    basis = np.exp(200j * np.pi * np.arange(256) / 16000 * (1 + 400e-6))
    fit = np.linalg.pinv(np.stack([basis.imag, basis.real], axis=1))
    events = [(*event, 1) for event in far.arrivals(61, 1)] + [(*event, 0) for event in mic.arrivals(60, 2)]
    for when, begin, end, is_far in sorted(events):
        if is_far:
            bridge.push(np.sin(200 * np.pi * np.arange(begin, end) / 16000).astype(np.float32), when)
            continue
        clock.push(256 / 16000, when)
        read = bridge.read(256, n / 16000, clock)
        n += 256
        if when > 20.0:
            captured = begin / (16000 * (1 - 150e-6))
            cycles = np.arctan2(*(fit @ read)[::-1]) / (2 * np.pi)
            cycles -= 100 * (captured * (1 + 250e-6) - bridge.lag / 16000)
            errors.append((cycles - np.round(cycles)) / 100)
    assert np.abs(errors).max() < 0.001
    assert np.ptp(errors[-300:]) < 0.0003  # it wanders by less than five samples in five seconds


def test_a_source_that_is_always_late_is_read_later_and_one_that_stalls_is_not() -> None:
    def lag(device: Device) -> int:
        bridge, clock, n = ClockBridge(16000, lag=256, step=256, most=2048), DeviceClock(), 0
        events = [(*event, 1) for event in device.arrivals(30, 1)]
        events += [(*event, 0) for event in Device(block=256).arrivals(30, 2)]
        for when, begin, end, is_far in sorted(events):
            if is_far:
                bridge.push(np.zeros(end - begin, np.float32), when)
            else:
                clock.push(256 / 16000, when)
                bridge.read(256, n / 16000, clock)
                n += 256
        assert bridge.gaps > 0
        return bridge.lag

    assert lag(Device(jitter=0.001, stalls=[(12.0, 0.1), (25.0, 0.1)])) == 256
    assert lag(Device(jitter=0.08)) in range(1280, 1793)
