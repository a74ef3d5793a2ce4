"""The loss of labels that may be exact, narrowed down to candidates, or unknown.

For candidates S the data term is ``-log(sum of softmax over S)``, the likelihood of what
is known (the loss of superset and partial-label learning, e.g. Feng et al., "Provably
Consistent Partial-Label Learning", NeurIPS 2020). With one candidate it is cross-entropy.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..models.config import BRANCHES
from .targets import Targets, informative


def case_losses(
    logits: Tensor, candidates: Tensor, class_weight: Tensor | None = None, smoothing: float = 0.0, gamma: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Loss and weight of each case.

    Args:
        logits: (B, C); computed in float32.
        candidates: (B, C) bool; see `candidate_masks`.
        class_weight: (C,); a set of candidates has the mean of their weights.
        smoothing: share of the target spread over all classes, as in `F.cross_entropy`.
        gamma: exponent of ``(1 - p)`` of the focal loss (Lin et al., ICCV 2017), p being
            the summed probability of the candidates.

    Returns:
        (B,) weighted losses and (B,) weights, both zero, as are the gradients, where the
        label is unknown. Sum over sum is what `F.cross_entropy` averages to.
    """
    logits = logits.float()
    weight = logits.new_ones(logits.shape[1]) if class_weight is None else class_weight.to(logits)
    known = informative(candidates)
    # rows without information take all classes, where both terms cancel: no infinity is ever made
    inside = candidates | ~known[:, None]
    total = logits.logsumexp(1)
    nll = total - logits.masked_fill(~inside, -torch.inf).logsumexp(1)
    case_weight = (weight * inside).sum(1) / inside.sum(1) * known
    loss = case_weight * nll
    if gamma:
        outside = ~candidates | ~known[:, None]
        log_rest = logits.masked_fill(~outside, -torch.inf).logsumexp(1) - total  # log(1 - p), exact also for p near 1
        loss = loss * (gamma * log_rest).exp()
    if smoothing:
        spread = (weight * (total[:, None] - logits)).mean(1) * known
        loss = (1 - smoothing) * loss + smoothing * spread
    return loss, case_weight


def partial_label_loss(
    logits: Tensor, candidates: Tensor, class_weight: Tensor | None = None, smoothing: float = 0.0, gamma: float = 0.0
) -> Tensor:
    """The weighted mean of `case_losses` over the cases with information; zero if there is none."""
    loss, weight = case_losses(logits, candidates, class_weight, smoothing, gamma)
    return loss.sum() / _divisor(weight.sum())


class PairLoss:
    """The loss of all heads of a `PairNetwork`.

    Each head's loss is the weighted mean over the labelled cases of its task in the whole
    step, also where the step is shared by several processes or cut into parts: every
    process knows all labels of the step, so `totals` needs no communication. Heads
    of a branch count only cases whose image of that branch is present.

    Args:
        weights: task -> (C,) class weights.
        task_weights: task -> weight; 1 for those not named. They are scaled to sum to 1.
        auxiliary: weight of each branch's heads against the main ones.
        kept: task -> share of the class weights that stays in the probabilities; 0 for those not named.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        task_weights: Mapping[str, float] | None = None,
        *,
        smoothing: float = 0.0,
        gamma: float = 0.0,
        auxiliary: float = 0.0,
        kept: Mapping[str, float] | None = None,
    ) -> None:
        self.weights = {task: weight.cpu() for task, weight in weights.items()}
        self._there: dict[torch.device, dict[str, Tensor]] = {}
        shares = {task: float((task_weights or {}).get(task, 1.0)) for task in weights}
        self.task_weights = {task: share / (sum(shares.values()) or 1.0) for task, share in shares.items()}
        self.smoothing, self.gamma, self.auxiliary = smoothing, gamma, auxiliary
        self.kept = dict(kept or {})

    def as_frequent(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits of the tasks with the kept class weights taken out: classes as frequent as in the data."""
        weights = self._weights_on(next(iter(logits.values())).device)
        return {
            task: logits[task] - self.kept.get(task, 0.0) * weight.clamp(min=1e-6).log()
            for task, weight in weights.items()
        }

    def totals(self, targets: Targets, present: Tensor) -> dict[str, float]:
        """Summed case weights of a whole step, per head; targets (B, C) and present (B, 2) on the CPU."""
        found = {}
        for task, candidates in targets.items():
            known = informative(candidates)
            weight = (self.weights[task] * candidates).sum(1) / candidates.sum(1).clamp(min=1) * known
            found[task] = float(weight.sum())
            for column, branch in enumerate(BRANCHES):
                found[f"{branch}/{task}"] = float((weight * present[:, column]).sum())
        return found

    def __call__(
        self,
        logits: Mapping[str, Tensor],
        targets: Targets,
        present: Tensor,
        totals: Mapping[str, float],
        shares: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The share of the step's loss of some of its cases.

        Args:
            logits: head -> (b, C), as `PairNetwork.forward` names them.
            targets: task -> (b, C) bool; present: (b, 2) bool.
            totals: of the whole step.
            shares: (b,) factors of each case, for mixup: of the pair's heads under "", of a branch's under its name.

        Returns:
            A scalar that hangs on every logit, so that every head gets a gradient (zero
            without labels), as distributed training needs.
        """
        weights = self._weights_on(next(iter(logits.values())).device)
        loss = next(iter(logits.values())).new_zeros((), dtype=torch.float32)
        for head, values in logits.items():
            branch, _, task = head.rpartition("/")
            # Weights w teach a network p * w. Adding log w here leaves p itself to the network, whose
            # probabilities then keep the frequencies of the data; adding less keeps a power of w
            # ("logit adjustment", Menon et al., ICLR 2021).
            values = values + (1 - self.kept.get(task, 0.0)) * weights[task].clamp(min=1e-6).log()
            cases, _ = case_losses(values, targets[task], weights[task], self.smoothing, self.gamma)
            if branch:
                # selected, not multiplied: the blank input of an absent image must not matter
                cases = torch.where(present[:, BRANCHES.index(branch)], cases, cases * 0)
            if shares is not None:
                cases = cases * shares[branch]
            factor = self.task_weights[task] * (self.auxiliary if branch else 1.0)
            loss = loss + factor * cases.sum() / (totals[head] or 1.0)
        return loss

    def _weights_on(self, device: torch.device) -> dict[str, Tensor]:
        if device not in self._there:
            self._there[device] = {task: weight.to(device) for task, weight in self.weights.items()}
        return self._there[device]


def _divisor(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, torch.ones_like(total))
