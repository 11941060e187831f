"""Whether this processor computes in bfloat16 faster than in float32."""

import torch


def bfloat16_is_fast() -> bool:
    """Whether this processor has instructions for bfloat16; timing it would depend on how busy it is.

    Without them convolutions are emulated: on a processor with AVX2 alone a training step takes fifteen times as long
    as in float32.
    """
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
