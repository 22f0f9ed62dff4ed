"""The autoencoder and the energy-head language model of docs/spec.md, sections 2, 3 and 3.1, in PyTorch.

Parameters have the names of the specification, so golden weights load as they are. Configurations are dictionaries with
the keys of config.json. Every random draw can be given (to compare with golden cases); otherwise it is made here.

Shapes: B rows, T tokens a row, K tokens a patch, L = T/K patches a row, P patches that count, V vocabulary, D hidden
size, Z latent size, N samples and M targets a position, S noise size.
"""

import torch
import torch.nn.functional as F
from torch import nn

LN_EPS = 1e-6  # of every LayerNorm


class MLP(nn.Module):
    """W_down(SiLU(W_gate x) * (W_up x)): [.., D] to [.., D]."""

    def __init__(self, hidden, intermediate, bias):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, intermediate, bias)
        self.up_proj = nn.Linear(hidden, intermediate, bias)
        self.down_proj = nn.Linear(intermediate, hidden, bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


# The autoencoder, section 2.


class CoderLayer(nn.Module):
    """x + MLP(RMSNorm(x)): [.., D] to [.., D]."""

    def __init__(self, c):
        super().__init__()
        self.layernorm = nn.RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c["hidden_size"], c["intermediate_size"], c["mlp_bias"])

    def forward(self, x):
        return x + self.mlp(self.layernorm(x))


class Encoder(nn.Module):
    """Ids [P, K] to the posterior's mean and log_std, each [P, Z]."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.embed_tokens = nn.Embedding(c["vocab_size"], d)
        self.encoder_layers = nn.ModuleList(CoderLayer(c) for _ in range(c["num_encoder_layers"]))
        self.squeeze_layer = nn.Linear(c["patch_size"] * d, d)
        self.norm = nn.RMSNorm(d, c["rms_norm_eps"])
        self.hidden_to_latent = nn.Linear(d, 2 * c["latent_size"])
        self.half = c["num_encoder_layers"] // 2

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.encoder_layers[: self.half]:
            x = layer(x)
        x = self.squeeze_layer(x.flatten(1))
        for layer in self.encoder_layers[self.half : 2 * self.half]:
            x = layer(x)
        return self.hidden_to_latent(self.norm(x)).chunk(2, dim=-1)


class Decoder(nn.Module):
    """Latent vectors [P, Z] to logits [P, K, V], by a product with the encoder's table [V, D]."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.latent_to_hidden = nn.Linear(c["latent_size"], d)
        self.decoder_layers = nn.ModuleList(CoderLayer(c) for _ in range(c["num_decoder_layers"]))
        self.expand_layer = nn.Linear(d, c["patch_size"] * d)
        self.norm = nn.RMSNorm(d, c["rms_norm_eps"])
        self.half = c["num_decoder_layers"] // 2
        self.patch = c["patch_size"]

    def forward(self, z, table):
        x = self.latent_to_hidden(z)
        for layer in self.decoder_layers[: self.half]:
            x = layer(x)
        x = self.expand_layer(x).unflatten(-1, (self.patch, -1))
        for layer in self.decoder_layers[self.half : 2 * self.half]:
            x = layer(x)
        return F.linear(self.norm(x), table)


class Autoencoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.encoder, self.decoder = Encoder(c), Decoder(c)
        self.patch, self.dropout = c["patch_size"], c["ae_dropout"]
        self.kl_clamp, self.kl_weight = c["kl_clamp"], c["kl_weight"]

    def decode(self, z):
        """Latent vectors [P, Z] to the most probable ids [P, K]."""
        return self.decoder(z, self.encoder.embed_tokens.weight).argmax(-1)

    def forward(self, ids, draws=None):
        """The loss of training on ids [B, T]. draws: token_keep [P, K], eps [P, Z], dropout [P, Z]."""
        labels = ids.view(-1, self.patch)
        if draws is None:
            keep = torch.rand(labels.shape) >= self.dropout
        else:
            keep = draws["token_keep"] != 0
        mean, log_std = self.encoder(labels.masked_fill(~keep, 0))
        std = log_std.exp()
        eps = torch.randn_like(std) if draws is None else draws["eps"]
        z = mean + std * eps
        z = F.dropout(z, self.dropout) if draws is None else z * draws["dropout"]
        logits = self.decoder(z, self.encoder.embed_tokens.weight)
        ce = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        kl = (0.5 * (mean.square() + std.square() - 1 - 2 * log_std)).clamp(min=self.kl_clamp)
        return self.patch * ce + self.kl_weight * kl.sum(-1).mean()


# The backbone, section 3.


def rotate(x, cos, sin):
    """Rotary positions, half-split: x [B, heads, L, d], cos and sin [L, d]."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.heads, self.kv_heads = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        kv = d // self.heads * self.kv_heads
        self.q_proj = nn.Linear(d, d, bias=False)
        self.k_proj = nn.Linear(d, kv, bias=False)
        self.v_proj = nn.Linear(d, kv, bias=False)
        self.o_proj = nn.Linear(d, d, bias=False)

    def forward(self, x, cos, sin, cache):
        """x [B, L, D]. cache: None, or (keys, values, start), where keys and values [B, kv heads, capacity, d] hold
        start positions; those of x are added."""
        split = lambda y, heads: y.unflatten(-1, (heads, -1)).transpose(1, 2)
        q = rotate(split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(split(self.k_proj(x), self.kv_heads), cos, sin)
        v = split(self.v_proj(x), self.kv_heads)
        causal = x.shape[1] > 1
        if cache is not None:
            keys, values, start = cache
            if causal and start > 0:
                raise ValueError("several positions at once are read into an empty cache only")
            end = start + x.shape[1]
            keys[:, :, start:end], values[:, :, start:end] = k, v
            k, v = keys[:, :, :end], values[:, :, :end]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=self.heads != self.kv_heads)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = nn.RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = MLP(c["hidden_size"], c["intermediate_size"], bias=False)

    def forward(self, x, cos, sin, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Backbone(nn.Module):
    """Patch inputs [B, L, D] to hidden states [B, L, D]."""

    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"], padding_idx=c["pad_token_id"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.head_size, self.theta = c["hidden_size"] // c["num_attention_heads"], c["rope_theta"]

    def forward(self, x, caches=None, start=0):
        frequency = self.theta ** (-torch.arange(0, self.head_size, 2, dtype=torch.float32) / self.head_size)
        angle = torch.outer(torch.arange(start, start + x.shape[1], dtype=torch.float32), frequency)
        angle = torch.cat((angle, angle), dim=-1)
        cos, sin = angle.cos(), angle.sin()
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, None if caches is None else (*caches[i], start))
        return self.norm(x)


# The energy head, section 3.1.


class HeadBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.in_ln = nn.LayerNorm(d, LN_EPS)
        self.linears = nn.Sequential(nn.Linear(2 * d, d), nn.SiLU(), nn.Linear(d, d), nn.SiLU(), nn.Linear(d, 2 * d))
        self.down_proj = nn.Linear(d, d)

    def forward(self, x, y):
        gate, up = self.linears(torch.cat((self.in_ln(x), y), dim=-1)).chunk(2, dim=-1)
        return x + self.down_proj(F.silu(gate) * up)


class HeadEnd(nn.Module):
    def __init__(self, d, z):
        super().__init__()
        self.in_ln = nn.LayerNorm(d, LN_EPS)
        self.linears = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, z))

    def forward(self, x):
        return self.linears(self.in_ln(x))


class EnergyHead(nn.Module):
    """Noise [N, P, S] and hidden states [P, D] to samples [N, P, Z]."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.noise_embd, self.hidden_embd = nn.Linear(c["noise_size"], d), nn.Linear(d, d)
        self.norm_noise, self.norm_hidden = nn.LayerNorm(d, LN_EPS), nn.LayerNorm(d, LN_EPS)
        self.mlp_blocks = nn.ModuleList(HeadBlock(d) for _ in range(c["num_mlp_layers"]))
        self.final_layer = HeadEnd(d, c["latent_size"])

    def forward(self, noise, hidden):
        x = self.norm_noise(self.noise_embd(noise))
        y = self.norm_hidden(self.hidden_embd(hidden)).expand_as(x)  # once for the N samples of a position
        for block in self.mlp_blocks:
            x = block(x, y)
        return self.final_layer(x)


def energy_loss(predictions, targets, beta):
    """The energy loss of every position, [P], of predictions [N, P, Z] and targets [M, P, Z]."""
    x, y = predictions.transpose(0, 1).contiguous(), targets.transpose(0, 1).contiguous()
    n = x.shape[1]

    def distance(a, b):  # exact differences: the quicker form by products loses digits
        d = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        return d if beta == 1 else d.pow(beta)

    return 2 * distance(x, y).mean((1, 2)) - distance(x, x).sum((1, 2)) / (n * (n - 1))


class LanguageModel(nn.Module):
    def __init__(self, c, autoencoder):
        super().__init__()
        d, k = c["hidden_size"], c["patch_size"]
        self.ae_model = Autoencoder(autoencoder).requires_grad_(False)
        self.transformer = Backbone(c)
        self.embed_proj = nn.Sequential(nn.Linear(k * d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d), nn.LayerNorm(d, LN_EPS))
        self.mlp_generator = EnergyHead(c)
        self.config = c

    def inputs(self, ids):
        """The backbone's inputs [B, L, D] of ids [B, L, K]."""
        return self.embed_proj(self.transformer.embed_tokens(ids).flatten(2))

    def forward(self, ids, draws=None, labels=None):
        """The loss of training on ids [B, T]. draws: noise [N, P, S], target_eps [M, P, Z]. labels [B, T] are -100 on
        whole patches that are no target; None: every patch is one."""
        c = self.config
        patches = ids.unflatten(1, (-1, c["patch_size"]))
        hidden = self.transformer(self.inputs(patches[:, :-1])).flatten(0, 1)
        targets = patches[:, 1:].flatten(0, 1)
        if labels is not None:
            counts = labels.view_as(patches)[:, 1:, 0].flatten() != -100
            hidden, targets = hidden[counts], targets[counts]
        with torch.no_grad():
            mean, log_std = self.ae_model.encoder(targets)
            if draws is None:
                eps = torch.randn(c["target_samples"], *mean.shape)
            else:
                eps = draws["target_eps"]
            targets = mean + log_std.exp() * eps
        if draws is None:
            noise = torch.rand(c["num_samples"], hidden.shape[0], c["noise_size"]) - 0.5
        else:
            noise = draws["noise"]
        return energy_loss(self.mlp_generator(noise, hidden), targets, c["beta"]).mean()


class Writer:
    """Draws patches at temperature 1 with a key-value cache: one stream a row."""

    def __init__(self, model, rows, capacity):
        c = self.config = model.config
        self.model, self.start = model, 0
        shape = (rows, c["num_key_value_heads"], capacity, c["hidden_size"] // c["num_attention_heads"])
        self.caches = [(torch.zeros(shape), torch.zeros(shape)) for _ in model.transformer.layers]

    def read(self, ids):
        """Reads patches [B, L, K] and keeps the last hidden state, [B, D]."""
        hidden = self.model.transformer(self.model.inputs(ids), self.caches, self.start)
        self.start += ids.shape[1]
        self.hidden = hidden[:, -1]

    def draw(self, noise=None):
        """Draws the next patch, [B, K], from noise [B, S]."""
        if noise is None:
            noise = torch.rand(len(self.hidden), self.config["noise_size"]) - 0.5
        return self.model.ae_model.decode(self.model.mlp_generator(noise, self.hidden))


def initialize(model, std):
    """First values as the specification's: weights N(0, std), biases 0, norms 1, the head's last map 0."""
    for m in model.modules():
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=std)
            if getattr(m, "bias", None) is not None:
                nn.init.zeros_(m.bias)
            if getattr(m, "padding_idx", None) is not None:
                nn.init.zeros_(m.weight[m.padding_idx])
    if isinstance(model, LanguageModel):
        nn.init.zeros_(model.mlp_generator.final_layer.linears[-1].weight)


def optimizer(model, learning_rate, weight_decay):
    """AdamW, fused; decay on matrices and embeddings only."""
    decayed, plain = [], []
    for p in model.parameters():
        if p.requires_grad:
            (decayed if p.ndim > 1 else plain).append(p)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, fused=True)


def step(loss, parameters, opt, max_norm=1.0):
    """Backward, clipping, update. Returns the norm of the gradient before clipping."""
    loss.backward()
    norm = nn.utils.clip_grad_norm_(parameters, max_norm)
    opt.step()
    opt.zero_grad(set_to_none=True)
    return norm
