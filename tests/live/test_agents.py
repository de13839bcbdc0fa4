"""What an agent's frameworks share: its speech in time, and a conversation on a clock that stands still."""

from __future__ import annotations

import numpy as np
import pytest
from agent_call import AgentCall, Clock

from localvqe import UsageError
from localvqe_cli.agents.conversation import Conversation, as_mono
from localvqe_cli.agents.playout import Playout


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.int16)


def test_speech_is_heard_in_its_own_time() -> None:
    playout = Playout(1000, 5.0)
    playout.say(ramp(1, 100), 5.01)
    playout.say(ramp(101, 100), 5.02)  # ahead of its time
    heard = np.concatenate([playout.take(now) for now in (5.005, 5.05, 5.05, 5.15, 5.3)])
    np.testing.assert_array_equal(heard, np.r_[np.zeros(10), ramp(1, 200), np.zeros(90)])
    playout.say(ramp(1, 10), 5.2)  # no way back
    np.testing.assert_array_equal(playout.take(5.32), np.r_[ramp(1, 10), np.zeros(10)])


def test_what_is_interrupted_is_not_heard() -> None:
    playout = Playout(1000, 0.0)
    playout.say(ramp(1, 50), 0.0)
    playout.say(ramp(51, 50), 0.0)
    playout.clear(0.03)
    playout.say(ramp(200, 10), 0.04)
    np.testing.assert_array_equal(playout.take(0.06), np.r_[ramp(1, 30), np.zeros(10), ramp(200, 10), np.zeros(10)])


def test_what_is_paused_goes_on_and_can_be_dropped() -> None:
    playout = Playout(1000, 0.0)
    playout.say(ramp(1, 100), 0.0)
    playout.pause(0.03, lost=0.02)
    playout.pause(0.05, lost=0.02)  # is paused already
    playout.say(ramp(101, 10), 0.05)
    np.testing.assert_array_equal(playout.take(0.06), np.r_[ramp(1, 30), np.zeros(30)])
    playout.resume(0.06)
    np.testing.assert_array_equal(playout.take(0.13), np.r_[ramp(51, 60), np.zeros(10)])
    playout.pause(0.13, lost=0.0)
    playout.say(ramp(1, 10), 0.13)
    playout.clear(0.14)
    playout.resume(0.14)
    assert not playout.take(0.2).any()


def test_a_long_silence_takes_no_memory() -> None:
    playout = Playout(1000, 0.0)
    playout.say(ramp(1, 100), 0.0)
    assert len(playout.take(1e6)) == 2000
    playout.say(ramp(1, 100), 1e6)
    np.testing.assert_array_equal(playout.take(1e6 + 0.1), ramp(1, 100))


def conversation(clock: Clock, **options: object) -> Conversation:
    found = Conversation(**{"model": None, "strength": 1.0, "noise_gate": None, **options})  # type: ignore[arg-type]
    found._clock = clock
    found._canceller._work_clock = clock  # how busy this machine is does not matter
    return found


def talk(call: AgentCall, agent: Conversation) -> np.ndarray:
    out = []
    for said, mic in call.steps():
        for speech in said:
            agent.say(speech, call.speech_rate)
        out.append(agent.hear(mic, call.mic_rate))
        assert out[-1].dtype == np.int16
        assert len(out[-1]) == len(mic)
    return np.concatenate(out)


@pytest.mark.parametrize(("mic_rate", "speech_rate", "ahead"), [(24000, 24000, True), (16000, 24000, False)])
def test_a_conversation_loses_the_agent_and_keeps_the_caller(mic_rate: int, speech_rate: int, ahead: bool) -> None:
    call = AgentCall(mic_rate, speech_rate, ahead=ahead)
    agent = conversation(call.clock)
    out = talk(call, agent)
    assert call.attenuation(out, 3.0, 5.0) > 30.0
    assert call.attenuation(out, 8.6, 11.0) > 30.0  # the next answer finds a filter that knows the room
    assert call.own_words(out) == pytest.approx(0.0, abs=1.0)
    status = agent.status()
    assert status.far_losses == status.mic_losses == status.far_gaps == 0
    assert status.drift_ppm == pytest.approx(0.0, abs=1.0)


def test_after_a_minute_without_frames_it_goes_on() -> None:
    call = AgentCall()
    agent = conversation(call.clock)
    talk(call, agent)
    call.clock.now += 60.0
    out = talk(call, agent)
    assert call.attenuation(out, 3.0, 5.0) > 30.0
    assert call.attenuation(out, 8.6, 11.0) > 30.0


def test_a_closed_one_begins_anew() -> None:
    call = AgentCall()
    agent = conversation(call.clock)
    agent.say(ramp(0, 160), 16000)
    agent.hear(ramp(0, 320), 16000)
    agent.close()
    agent.say(ramp(0, 160), 16000)  # nobody is there
    agent.close()
    call.clock.now += 1.0
    agent.hear(ramp(0, 320), 16000)
    assert agent.status().seconds == pytest.approx(0.02)
    assert agent.status().far_dbfs is None


def test_channels_become_one() -> None:
    data = np.array([[100, 200], [-300, -101]], np.int16).tobytes()
    np.testing.assert_array_equal(as_mono(data, 2), [150, -200])
    np.testing.assert_array_equal(as_mono(data, 1), [100, 200, -300, -101])


def test_bad_options_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"strength is 2\.0"):
        conversation(Clock(), strength=2.0)
    with pytest.raises(UsageError, match="mic_rate is 4000"):
        conversation(Clock()).hear(ramp(0, 10), 4000)
    with pytest.raises(UsageError, match="far_rate is 4000"):
        conversation(Clock()).say(ramp(0, 10), 4000)
