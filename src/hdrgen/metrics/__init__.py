"""How good a picture is against its reference, and what a figure is worth.

`full_reference` is the suite that `hdrgen compare` shows: PU21-PSNR and -SSIM, errors in stops, peaks, Delta E ITP, JOD,
PSNR-mu and PSNR-L, after a correction of scale or camera response where one is asked for. `docs/metrics.md` describes
it. `quality` is what models are compared by. `generated` measures pictures that have no reference. `production_figures`
lists what validation shows of a picture, `verdicts` says what it is worth beside 8 bits and footage. `quantities` has the
unit of every figure and which way is better.
"""
