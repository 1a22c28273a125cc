"""A data directory of dialogues made up for tests: two speakers in turn, in several dialogues each."""

from tests.scoring.builder import make_data


def make_dialogues(path, speakers=8, dialogues=3, turns=7, folds=0, **options):
    """Dialogue ``d<pair>_<k>`` of speakers 2 pair and 2 pair + 1, who speak in turn, ``turns`` times each."""
    data = make_data(path, speakers=speakers, each=dialogues * turns, folds=False, **options)
    names = list(data.spk2utt)
    dialogue, turn = {}, {}
    for number, speaker in enumerate(names):
        for item, utterance in enumerate(data.spk2utt[speaker]):
            dialogue[utterance] = f"d{number // 2:02d}_{item // turns}"
            turn[utterance] = str(2 * (item % turns) + number % 2 + 1)
    data.tables |= {"utt2dialogue": dialogue, "utt2turn": turn}
    if folds:
        fold = {speaker: str(number // 2 % folds) for number, speaker in enumerate(names)}
        data.tables["utt2fold"] = {utterance: fold[speaker] for utterance, speaker in data.utt2spk.items()}
    data.write(path)
    return data
