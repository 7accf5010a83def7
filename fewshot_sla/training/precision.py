"""Which precision a device computes fast in: bfloat16 only where it has instructions for it."""

from typing import Literal

import torch

UsedPrecision = Literal["32-true", "bf16-mixed"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


def fast_precision(
    device: str,  # "cpu", "cuda", ...: the type of the device
) -> UsedPrecision:
    """``bf16-mixed`` on GPUs and CPUs that compute with bfloat16 themselves, else ``32-true``.

    A CPU without AVX512-BF16 or AMX emulates it, and a training step takes several times as long as in float32.
    """
    known = {"cuda": _cuda_has_bfloat16, "cpu": _cpu_has_bfloat16}
    return "bf16-mixed" if device in known and known[device]() else "32-true"


def _cuda_has_bfloat16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _cpu_has_bfloat16() -> bool:
    # torch tells it by these two alone, and not in every version
    tells = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(tell is not None and tell() for tell in tells)
