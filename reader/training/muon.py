"""Momentum, orthogonalised (Jordan et al. 2024)."""
import torch
from model import dev


class Muon:
    """Momentum orthogonalised by Newton-Schulz, one batch per matrix shape."""
    def __init__(s, params, lr, mom=0.95, wd=0.05):
        s.lr = s.lr0 = lr; s.mom, s.wd = mom, wd
        s.groups = {}
        for p in params: s.groups.setdefault(tuple(p.shape), []).append(p)
        s.buf = {k: torch.zeros(len(v), *k, device=dev) for k, v in s.groups.items()}

    @torch.no_grad()
    def step(s):
        for k, ps in s.groups.items():
            g = torch.stack([p.grad for p in ps]).float()
            b = s.buf[k]; b.lerp_(g, 1 - s.mom); u = g.lerp(b, s.mom).bfloat16()
            t = k[0] > k[1]
            if t: u = u.transpose(1, 2)
            x = u / (u.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                a = x @ x.transpose(1, 2); x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            if t: x = x.transpose(1, 2)
            sc = s.lr * max(1, k[0] / k[1]) ** 0.5
            for p, d in zip(ps, x): p.mul_(1 - s.lr * s.wd).add_(d.to(p.dtype), alpha=-sc)
