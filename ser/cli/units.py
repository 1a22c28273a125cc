"""``ser units``: frames -> units (k-means), which ``ser papt`` predicts."""

from __future__ import annotations

from pathlib import Path

from ser.core.config import Parser
from ser.core.errors import UserError

EPILOG = """Frames come from 'ser extract DATA FEATS --upstream NAME --frames-layers LAYER'; for --mfcc the
upstream is mfcc: 13 coefficients with two deltas, 100 Hz. Further sets are labelled with --init-from; a
k-means model that HuBERT's authors released becomes centroids with --convert."""


def make_parser() -> Parser:
    """The options of ``ser units``."""
    parser = Parser(prog="ser units", description="k-means units of frames.", epilog=EPILOG)
    parser.add_argument("data", nargs="*", type=Path, help="data directories")
    parser.add_argument("--feats", nargs="+", type=Path, default=[], help="their features, in the same order")
    parser.add_argument("--layer", type=int, help="layer of the frames")
    parser.add_argument("--mfcc", action="store_true", help="the features are MFCC (layer 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the units, exp/units/<name>")
    fitting = parser.add_argument_group("fitting")
    fitting.add_argument("--clusters", type=int, help="number of units; 100 by default")
    fitting.add_argument(
        "--fit-on", nargs="+", type=Path, help="data directories to fit on; default the first"
    )
    fitting.add_argument("--sample-frames", type=int, help="frames drawn to fit on; 200000 by default")
    fitting.add_argument("--inits", type=int, help="starts of k-means++; 5 by default")
    fitting.add_argument("--seed", type=int, help="of frames and k-means; 0 by default")
    others = parser.add_argument_group("centroids from elsewhere")
    others.add_argument("--init-from", type=Path, help="label with the centroids of this exp/units/<name>")
    others.add_argument("--convert", type=Path, help="a pickled k-means model to make centroids of")
    others.add_argument("--allow-pickle", action="store_true", help="unpickle it, code and all")
    return parser


def main(argv: list[str]) -> None:
    """Run the verb."""
    options = make_parser().parse_args(argv)
    names = ("clusters", "sample_frames", "inits", "seed")
    given = {name: options[name] for name in names if options[name] is not None}
    fitting = [f"--{name.replace('_', '-')}" for name in (*given, *(["fit_on"] if options.fit_on else []))]
    elsewhere = options.convert or options.init_from
    if elsewhere and fitting:
        raise UserError("an option of fitting, and nothing is fitted", value=fitting[0])
    if options.mfcc and options.layer not in (None, 0):
        raise UserError("--mfcc has layer 0 alone", value=options.layer, hint="Leave --layer out")

    from ser.papt.frames import load_sets
    from ser.papt.unit_quality import table
    from ser.papt.units import UnitsConfig, convert_units, label_units, make_units

    if options.convert:
        if options.data or options.feats or options.init_from:
            raise UserError("--convert makes centroids and nothing else",
                            hint="Label data with them by --init-from")  # fmt: skip
        model = convert_units(options.convert, options.out, options.allow_pickle, options.layer)
        print(f"{options.out}: {model.clusters} centroids of width {model.dim}")
        return
    layer = 0 if options.mfcc else options.layer
    if layer is None:
        raise UserError("no layer", hint="Give --layer, or --mfcc")
    sets = load_sets(options.data, options.feats, layer)
    if options.mfcc and not sets[0].source.tag.startswith("mfcc"):
        raise UserError("no features of MFCC", file=sets[0].meta_path, value=sets[0].source.tag)
    if options.init_from:
        found = label_units(sets, options.init_from, options.out)
    else:
        wanted = [path.resolve() for path in options.fit_on or options.data[:1]]
        fit_on = [each for each in sets if each.data.resolve() in wanted]
        if len(fit_on) < len(set(wanted)):
            known = ", ".join(str(each.data) for each in sets)
            raise UserError("--fit-on names a directory that is not labelled", hint=f"Named are: {known}")
        found = make_units(sets, fit_on, options.out, UnitsConfig(**given))
    print("\n".join(table(found, sets[0].source.frame_rate)))
