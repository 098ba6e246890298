"""Times PyTorch's training steps: steps.py MODEL BATCH THREADS.

Reads seconds from standard input, one number a line; trains for about that long, and
answers with "images seconds peak", the last in KiB. The models are those of models.go.
"""
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def dense(sizes, act, last=None):
    out = []
    for i in range(len(sizes) - 1):
        out.append(nn.Linear(sizes[i], sizes[i + 1]))
        if i + 2 < len(sizes):
            out.append(act())
        elif last is not None:
            out.append(last())
    return nn.Sequential(*out)


class AE(nn.Module):
    """An autoencoder and the mean squared error."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def loss(self, x):
        return F.mse_loss(self.net(x.view(self.shape(x))), x.view(self.shape(x)))

    def shape(self, x):
        return (x.shape[0], -1)


class ConvAE(AE):
    def shape(self, x):
        return x.shape


class VAE(nn.Module):
    """A variational autoencoder and the negative ELBO with a Bernoulli likelihood."""

    def __init__(self, encoder, width, latent, decoder, flat):
        super().__init__()
        self.encoder, self.decoder, self.flat = encoder, decoder, flat
        self.mu, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)

    def loss(self, x):
        if self.flat:
            x = x.view(x.shape[0], -1)
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        bce = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * torch.sum(mu * mu + logvar.exp() - 1 - logvar)
        return (bce + kl) / x.shape[0]


def conv_ae():
    return ConvAE(nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(3136, 32), nn.Linear(32, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid()))


def conv_vae():
    c = [3, 32, 64, 128, 256]
    enc, dec = [], [nn.Linear(128, 4096), nn.Unflatten(1, (256, 4, 4))]
    for i in range(4):
        enc += [nn.Conv2d(c[i], c[i + 1], 4, 2, 1), nn.BatchNorm2d(c[i + 1]), nn.LeakyReLU(0.2)]
    for i in range(4, 1, -1):
        dec += [nn.ConvTranspose2d(c[i], c[i - 1], 4, 2, 1), nn.BatchNorm2d(c[i - 1]), nn.LeakyReLU(0.2)]
    dec.append(nn.ConvTranspose2d(32, 3, 4, 2, 1))
    return VAE(nn.Sequential(*enc, nn.Flatten()), 4096, 128, nn.Sequential(*dec), False)


MODELS = {
    "seed-ae": (1, 28, lambda: AE(dense([784, 64, 32, 32, 32, 64, 784], nn.ReLU, nn.Sigmoid))),
    "mlp-vae": (1, 28, lambda: VAE(dense([784, 400], nn.ReLU, nn.ReLU), 400, 20, dense([20, 400, 784], nn.ReLU), True)),
    "iwae-vae": (1, 28, lambda: VAE(dense([784, 200, 200], nn.Tanh, nn.Tanh), 200, 50, dense([50, 200, 200, 784], nn.Tanh), True)),
    "conv-ae": (1, 28, conv_ae),
    "conv-vae": (3, 64, conv_vae),
}


def adam(params):
    """The fastest form of Adam that this release has."""
    for more in ({"fused": True}, {"foreach": True}, {}):
        try:
            opt = torch.optim.Adam(params, lr=1e-3, **more)
            return opt, more
        except (TypeError, RuntimeError):
            continue
    raise RuntimeError("no Adam")


def main():
    name, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    channels, size, make = MODELS[name]
    model = make()
    params = list(model.parameters())
    opt, how = adam(params)
    data = [torch.rand(batch, channels, size, size) for _ in range(4)]
    print("PyTorch", torch.__version__, "Adam", how, flush=True)
    step = 0
    for line in sys.stdin:
        limit = float(line)
        images, start = 0, time.perf_counter()
        while True:
            opt.zero_grad()
            model.loss(data[step % len(data)]).backward()
            opt.step()
            step += 1
            images += batch
            elapsed = time.perf_counter() - start
            if elapsed >= limit:
                break
        print(images, elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


main()
