"""Strengths of single effects in the synthetic corpus: of the wording, and of gender."""

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.corpora.mini import design, gender
from ser.corpora.mini.dialogues import STEP
from ser.corpora.mini.speakers import SETS, draw_speakers
from tests.corpora.test_mini import prepare

MANY = 3000
NOTHING = 4 / MANY**0.5  # four standard errors of a correlation
PEOPLE = draw_speakers(40, 0)


def plan(wording=1.0, baselines=None, people=PEOPLE):
    return design.plan_utterances(people, MANY, 1.0, 0, wording, baselines)


def column(utterances, name):
    return np.array([utterance.truth[name] for utterance in utterances])


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


def test_no_strength_changes_a_label():
    usual = [(u.emotion, u.attributes) for u in plan()]
    people = gender.share_voices(PEOPLE, 0)
    effort = {person.name: gender.baseline(person, 1.0) for person in people}
    for other in (plan(0.5), plan(0.0), plan(1.0, effort, people)):
        assert [(u.emotion, u.attributes) for u in other] == usual


def test_the_wording_follows_the_state_as_far_as_its_strength_says():
    found = {
        s: correlation(column(plan(s), "wording_valence"), column(plan(s), "valence")) for s in (0, 0.5, 1)
    }
    assert abs(found[0]) < NOTHING
    assert found[0] + 0.15 < found[0.5] < found[1] - 0.15


def test_at_wording_0_words_tell_nothing_beside_the_voice_and_at_1_they_do():
    """No help by the back door: words that only disturb the voice would help whoever takes them off."""
    for wording, helps in ((0.0, False), (1.0, True)):
        utterances = plan(wording)
        words, state = column(utterances, "wording_valence"), column(utterances, "valence")
        voice = np.column_stack([column(utterances, "voice_valence"), np.ones(MANY)])
        left = [each - voice @ np.linalg.lstsq(voice, each, rcond=None)[0] for each in (state, words)]
        assert (left[0].std() > 1e-6 and abs(correlation(*left)) > 0.5) == helps


def test_genders_share_voices_and_differ_in_effort():
    people = gender.share_voices(PEOPLE, 0)
    assert [(p.name, p.gender, p.pitch) for p in people] == [(p.name, p.gender, p.pitch) for p in PEOPLE]
    for name in SETS:
        own = [person for person in people if person.set == name]
        women, men = ({p.voice for p in own if p.gender == each} for each in "fm")
        assert women == men
    for ambiguity in (0.0, 0.5, 1.0):
        effort = {person.name: gender.baseline(person, ambiguity) for person in people}
        usual, moved = plan(people=people), plan(1.0, effort, people)
        for one, other in zip(usual, moved, strict=True):
            sign = 1 if one.speaker.gender == "m" else -1
            shift = ambiguity * sign * STEP
            assert other.delivery.pitch - one.delivery.pitch == pytest.approx(shift * design.PITCH[0])
            assert other.delivery.level - one.delivery.level == pytest.approx(shift * design.GAIN[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wording": 1.5}, "--wording is not between 0 and 1"),
        ({"pitch_ambiguity": -1}, "--pitch-ambiguity is not between 0 and 1"),
        ({"pitch_ambiguity": 1.0, "families": 2, "speakers": 16}, "--families gives them to families"),
    ],
)
def test_mistakes(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, **options)
