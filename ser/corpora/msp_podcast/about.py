"""The facts of MSP-Podcast."""

from __future__ import annotations

from ser.corpora.base import Corpus

CORPUS = Corpus(
    name="msp_podcast",
    title="MSP-Podcast",
    release="2.0",
    licence="academic licence of UT Dallas, by request",
    links=("https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",),
    speech="natural English, podcasts",
)
