"""The synthetic corpus on paper: what is planted is there, and at strength 0 nothing is."""

import csv
from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ser.core.errors import UserError
from ser.corpora.mini import design, dialogues, write
from ser.corpora.mini.sentences import sentences
from ser.corpora.mini.speakers import BY_DISTANCE, SETS, VOICES, draw_families, draw_speakers

MANY = 3000
# Four standard errors of a correlation over MANY independent pairs.
NOTHING = 4 / MANY**0.5
DELIVERY = ("pitch", "range", "rate", "level", "tilt", "formant")


@cache
def plan(strength, count=MANY, seed=0):
    return design.plan_utterances(draw_speakers(20, seed), count, strength, seed)


def heard(utterances):
    """What an ear gets of each utterance, shape (N, 6); the factors as logarithms."""
    logs = {"range", "rate", "formant"}
    values = np.array([[getattr(u.delivery, name) for name in DELIVERY] for u in utterances])
    return np.where([name in logs for name in DELIVERY], np.log(np.abs(values)), values)


def told(utterances):
    """Everything that depends on the driver, shape (N, 7): what is heard, and the wording."""
    return np.column_stack([heard(utterances), [u.sentence.valence for u in utterances]])


def attribute(utterances, name):
    return np.array([u.attributes[name] for u in utterances])


def probe(features, labels, train):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(features[train], labels[train]).predict(features)


@pytest.mark.parametrize("count", [6, 7, 16, 20, 64])
def test_every_set_has_speakers_of_both_genders_and_none_of_another_set(count):
    people = draw_speakers(count, seed=3)
    assert len({speaker.name for speaker in people}) == count
    for name in SETS:
        assert {speaker.gender for speaker in people if speaker.set == name} == {"m", "f"}
    assert sum(speaker.set == "train" for speaker in people) >= count / 3


def test_too_few_speakers_are_refused():
    with pytest.raises(UserError, match="at least 6 speakers"):
        draw_speakers(5, seed=0)


def test_speakers_of_one_voice_differ_in_vocal_tract_and_pitch():
    people = draw_speakers(64, seed=0)
    by_voice = defaultdict(list)
    for speaker in people:
        by_voice[speaker.voice].append((speaker.formant, speaker.pitch))
    assert max(map(len, by_voice.values())) > 1
    assert all(len(set(own)) == len(own) for own in by_voice.values())


def test_twenty_speakers_have_twenty_voices():
    assert len({speaker.voice for speaker in draw_speakers(20, seed=0)}) == 20


@pytest.mark.parametrize("seed", range(3))
def test_families_are_in_every_set_and_differ_in_voice(seed):
    people = draw_families(64, 8, 1.0, seed)
    assert {name: sum(p.set == name for p in people) for name in SETS} == {
        "train": 32,
        "validation": 8,
        "test": 24,
    }
    for name in SETS:
        assert {person.family for person in people if person.set == name} == set(range(8))
    assert len({(person.voice, person.gender) for person in people}) == 8
    for family in range(8):
        own = [person for person in people if person.family == family]
        assert len({(person.voice, person.label_scale, person.label_offset) for person in own}) == 1
        others = [
            person.formant for person in people if person.family != family and person.voice == own[0].voice
        ]
        assert not others
    for gender in "fm":
        ranks = [BY_DISTANCE[gender].index(p.voice.split("+")[1]) for p in people[:8] if p.gender == gender]
        assert ranks == sorted(ranks) and (ranks[0], ranks[-1]) == (0, len(BY_DISTANCE[gender]) - 1)
    scales = [person.label_scale for person in people[:8]]
    assert scales == sorted(scales, reverse=True)
    assert (scales[0], scales[-1]) == pytest.approx((1, np.exp(-1)))


@pytest.mark.parametrize("families", [2, 3, 5, 8, 24])
def test_the_further_a_family_is_out_the_further_is_its_vocal_tract(families):
    people = draw_families(8 * families, families, 0.0, 0)
    assert len({person.voice for person in people}) == families
    means = [np.mean([abs(np.log(p.formant)) for p in people if p.family == f]) for f in range(families)]
    assert np.corrcoef(means, np.arange(families))[0, 1] > 0.9
    assert {gender: set(names) for gender, names in BY_DISTANCE.items()} == {
        gender: set(names) for gender, names in VOICES.items()
    }


def test_the_shift_moves_labels_and_nothing_that_is_heard():
    plans = {
        shift: design.plan_utterances(draw_families(64, 8, shift, 0), 1920, 1.0, 0)
        for shift in (0.0, 0.5, 1.0)
    }
    for shift, plan in plans.items():
        assert [u.delivery for u in plan] == [u.delivery for u in plans[0.0]]
        assert [u.emotion for u in plan] == [u.emotion for u in plans[0.0]]
        spread = [np.std([u.attributes["arousal"] for u in plan if u.speaker.family == f]) for f in range(8)]
        centre = [np.mean([u.attributes["arousal"] for u in plan if u.speaker.family == f]) for f in range(8)]
        planted = np.exp(-shift * np.arange(8) / 7)
        np.testing.assert_allclose(spread / spread[0], planted, rtol=0.12)
        offsets = [3 * plan[f].speaker.label_offset for f in range(8)]
        np.testing.assert_allclose(np.array(centre) - np.mean(centre), offsets - np.mean(offsets), atol=0.25)
    assert {u.speaker.label_scale for u in plans[0.0]} == {1.0}


@pytest.mark.parametrize(("count", "families"), [(64, 7), (16, 8), (64, 1), (260, 26)])
def test_numbers_that_make_no_families_are_refused(count, families):
    with pytest.raises(UserError, match="families of at least four"):
        draw_families(count, families, 1.0, 0)


def test_sentences_are_balanced_and_plain():
    valence = [sentence.valence for sentence in sentences()]
    assert len(set(sentence.text for sentence in sentences())) == len(sentences()) >= 80
    assert min(valence) < -0.9 and max(valence) > 0.9 and abs(np.mean(valence)) < 0.02
    assert all(sentence.text.isascii() and sentence.text.endswith(".") for sentence in sentences())


def test_the_same_seed_plans_the_same_and_another_seed_another():
    assert plan(1.0, 60) == plan.__wrapped__(1.0, 60)
    assert plan(1.0, 60) != plan(1.0, 60, seed=1)


def test_more_utterances_change_none_of_the_first():
    assert plan(0.5, 90)[:40] == plan(0.5, 40)


def test_labels_do_not_depend_on_the_strength():
    def labels(strength):
        return [(u.name, u.emotion, u.attributes) for u in plan(strength, 100)]

    assert labels(0.0) == labels(0.5) == labels(1.0)


def test_a_label_is_the_true_state_and_the_class_the_nearest_centre():
    for utterance in plan(0.5, 200):
        state = np.array([utterance.truth["arousal"], utterance.truth["valence"]])
        assert np.abs(state).max() <= 1
        assert np.allclose(
            [utterance.attributes["arousal"], utterance.attributes["valence"]], 4 + 3 * state, atol=5e-4
        )
        distances = {name: np.linalg.norm(state - centre) for name, centre in design.CENTRES.items()}
        assert utterance.emotion == min(distances, key=distances.get)


def test_wording_and_voice_are_the_two_halves_of_the_drivers_valence():
    for utterance in plan(1.0, 200):
        truth = utterance.truth
        assert truth["driver_valence"] == pytest.approx(
            (truth["wording_valence"] + truth["voice_valence"]) / 2, abs=1e-12
        )
        assert truth["wording_valence"] == utterance.sentence.valence
        assert truth["driver_valence"] == pytest.approx(truth["valence"], abs=1e-12)


def test_at_strength_0_neither_voice_nor_words_tell_anything_of_a_label():
    utterances = plan(0.0)
    features = told(utterances)
    for name in ("arousal", "valence"):
        correlations = np.corrcoef(features.T, attribute(utterances, name))[-1, :-1]
        assert np.abs(correlations).max() < NOTHING, name
    labels = np.array([u.emotion for u in utterances])
    train = np.array([u.speaker.set == "train" for u in utterances])
    guesses = probe(features, labels, train)
    assert abs(recall_score(labels[~train], guesses[~train], average="macro") - 0.25) < 0.05


def test_the_planted_effect_grows_with_the_strength():
    found = {}
    for strength in (0.0, 0.5, 1.0):
        utterances = plan(strength)
        arousal, valence = (attribute(utterances, name) for name in ("arousal", "valence"))
        features = told(utterances)
        level, formant, wording = (features[:, index] for index in (3, 5, 6))
        pairs = ((level, arousal), (formant, valence), (wording, valence))
        found[strength] = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    assert all(np.array(found[0.5]) > np.array(found[0.0]) + 0.1)
    assert all(np.array(found[1.0]) > np.array(found[0.5]) + 0.1)
    level, formant, wording = found[1.0]
    assert level > 0.7 and formant > 0.35 and wording > 0.6


def test_audio_and_text_vary_as_much_at_every_strength():
    spreads = np.array([told(plan(strength)).std(axis=0) for strength in (0.0, 0.5, 1.0)])
    assert np.allclose(spreads, spreads[2], rtol=0.08)


@cache
def dialogue_plan(strength, count=250, turns=12, seed=0):
    return dialogues.plan_dialogues(draw_speakers(20, seed), count, turns, strength, seed)


def test_two_speakers_of_one_set_take_turns():
    by_dialogue = defaultdict(list)
    for turn in dialogue_plan(1.0, count=60, turns=7):
        by_dialogue[turn.dialogue].append(turn)
    assert len(by_dialogue) == 60
    for turns in by_dialogue.values():
        assert [turn.turn for turn in turns] == list(range(1, 8))
        names = [turn.speaker.name for turn in turns]
        assert len(set(names)) == 2 and len({turn.speaker.set for turn in turns}) == 1
        assert names[::2] == [names[0]] * 4 and names[1::2] == [names[1]] * 3


def test_a_range_is_drawn_anew_for_each_dialogue_whatever_the_voice():
    ranges = defaultdict(set)
    for turn in dialogue_plan(1.0):
        ranges[turn.dialogue, turn.speaker].add(turn.truth["baseline"])
    assert all(len(own) == 1 for own in ranges.values())
    low = Counter()
    for (_, speaker), own in ranges.items():
        low[speaker.name] += own == {-dialogues.STEP}
    total = Counter(speaker.name for _, speaker in ranges)
    # Four standard errors of a share of half of each speaker's dialogues.
    assert all(abs(low[name] / total[name] - 0.5) < 2 / total[name] ** 0.5 for name in total)


def four_errors(turns, asked):
    """Four standard errors of an accuracy of one half.

    At strength 1 all ambiguous turns of a speaker in a dialogue have one label: they count as one.
    """
    independent = {(turn.dialogue, turn.speaker) for turn, one in zip(turns, asked, strict=True) if one}
    return 4 * 0.5 / len(independent) ** 0.5


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_an_ambiguous_turn_alone_tells_nothing_however_it_is_listened_to(strength):
    turns = dialogue_plan(strength, count=1200, turns=4)
    ambiguous = np.array([turn.truth["ambiguous"] == 1 for turn in turns])
    assert 0.45 < ambiguous.mean() < 0.55
    labels = np.array([turn.emotion for turn in turns])
    voices = np.array([[turn.speaker.name == s.name for s in draw_speakers(20, 0)] for turn in turns])
    features = np.column_stack([heard(turns), voices, [turn.sentence.valence for turn in turns]])
    held_out = np.array([turn.speaker.set == "test" for turn in turns])
    right = probe(features, labels, ~held_out) == labels
    asked = ambiguous & held_out
    assert abs(right[asked].mean() - 0.5) < four_errors(turns, asked)
    if strength == 1.0:
        assert right[~ambiguous & held_out].mean() > 0.95


def remembering(turns):
    """Accuracy on ambiguous turns of a listener who knows the efforts that a speaker made before."""
    known, right = {}, []
    for turn in turns:
        key = turn.dialogue, turn.speaker.name
        if turn.truth["ambiguous"]:
            guess = "calm" if known.get(key, 1) > 0 else "excited"
            right.append(guess == turn.emotion)
        elif key not in known:
            known[key] = turn.truth["effort"]
    return np.mean(right), four_errors(turns, [turn.truth["ambiguous"] for turn in turns])


def test_memory_of_the_speaker_resolves_ambiguous_turns_at_strength_1_alone():
    accuracy, _ = remembering(dialogue_plan(1.0))
    assert accuracy > 0.75
    half, error = remembering(dialogue_plan(0.5))
    assert 0.5 + error < half < accuracy
    none, error = remembering(dialogue_plan(0.0))
    assert abs(none - 0.5) < error


def test_the_course_of_a_dialogue_tells_nothing_of_the_next_label():
    turns = dialogue_plan(1.0)
    excited = np.array([turn.emotion == "excited" for turn in turns])
    for gap in (1, 2):
        same = [
            excited[i] == excited[i - gap]
            for i in range(gap, len(turns))
            if turns[i].dialogue == turns[i - gap].dialogue
        ]
        assert abs(np.mean(same) - 0.5) < 4 * 0.5 / len(same) ** 0.5


def test_the_truth_is_written_with_every_number(tmp_path):
    people = draw_speakers(6, seed=0)
    utterances = design.plan_utterances(people, 12, 1.0, 0)
    write.write_truth(tmp_path, {"utterances": utterances}, people, {"seed": 0, "strength": 1.0})
    with open(tmp_path / "utterances.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row, utterance in zip(rows, utterances, strict=True):
        assert row["utterance"] == utterance.name
        assert float(row["true_arousal"]) == utterance.truth["arousal"]
        assert float(row["voice_level"]) == utterance.delivery.level
