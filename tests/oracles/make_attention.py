"""How attention.npz was made: by PyTorch 2.13.0 on a CPU, from numbers that lie beside the results.

    pip install torch==2.13.0 numpy && python make_attention.py

Keys: `image` (bands, rows, columns); for each number n of VIEWS `theta_n`, and what
affine_grid and grid_sample (bilinear, zeros, align_corners=False) make of it in float64: `grid_n`
(rows, columns, x and y), `view_n`, and `mixed_n` with align_corners=True in the second step only;
`query`, `key`, `value` (tokens, width), `weights` = softmax(Q K' / sqrt(d)), `attended` = its
product with the values, both by scaled_dot_product_attention.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample, scaled_dot_product_attention

IMAGE = (3, 13, 17)
VIEWS = [
    ([[1, 0, 0], [0, 1, 0]], (13, 17)),
    ([[1, 0, 0], [0, 1, 0]], (26, 34)),
    ([[0.31, -0.22, 0.17], [0.13, 0.42, -0.28]], (9, 14)),
    ([[-1.3, 0.4, 0.1], [0.2, 0.9, -0.3]], (20, 11)),
    ([[0.1, 0, 0.9], [0, 0.2, -0.8]], (7, 7)),
    ([[2.5, 0, 0], [0, 3.5, 0]], (6, 5)),
]
TOKENS, WIDTH, VALUES = 60, 6, 9


def main() -> None:
    torch.manual_seed(20240724)
    found = {"image": torch.rand(IMAGE, dtype=torch.float64)}
    for number, (numbers, size) in enumerate(VIEWS):
        theta = torch.tensor(numbers, dtype=torch.float64)
        grid = affine_grid(theta[None], [1, 1, *size], align_corners=False)
        options = {"mode": "bilinear", "padding_mode": "zeros"}
        image = found["image"][None]
        found[f"theta_{number}"] = theta
        found[f"grid_{number}"] = grid[0]
        found[f"view_{number}"] = grid_sample(image, grid, align_corners=False, **options)[0]
        found[f"mixed_{number}"] = grid_sample(image, grid, align_corners=True, **options)[0]
    for name, width in (("query", WIDTH), ("key", WIDTH), ("value", VALUES)):
        found[name] = torch.randn(TOKENS, width, dtype=torch.float64)
    query, key, value = (found[name][None] for name in ("query", "key", "value"))
    every = torch.eye(TOKENS, dtype=torch.float64)[None]
    found["weights"] = scaled_dot_product_attention(query, key, every)[0]
    found["attended"] = scaled_dot_product_attention(query, key, value)[0]
    arrays = {name: tensor.numpy() for name, tensor in found.items()}
    np.savez_compressed(Path(__file__).with_name("attention.npz"), **arrays)


if __name__ == "__main__":
    main()
