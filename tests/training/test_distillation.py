"""The distillation loss against its formula, and a teacher that stays what it was."""

import pytest
import torch
from torch import nn

from eenas.testing.smallest import smallest_backbone
from eenas.training.distillation import BackboneTeacher, KeptAnswers, distillation_loss


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loss_is_the_divergence_by_the_sample(temperature):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(5, 7, generator=generator) for _ in range(2))
    p, q = (torch.softmax(each / temperature, dim=1) for each in (teacher, student))
    slow = temperature**2 * sum(float((p[n] * (p[n] / q[n]).log()).sum()) for n in range(5)) / 5
    assert float(distillation_loss(student, teacher, temperature)) == pytest.approx(slow, rel=1e-5)
    assert float(distillation_loss(teacher, teacher, temperature)) == pytest.approx(0.0, abs=1e-6)


def test_the_teacher_gets_no_gradient_and_the_student_one_of_a_size_that_no_temperature_changes():
    generator = torch.Generator().manual_seed(0)
    sizes = []
    for temperature in (20.0, 40.0):
        student = torch.randn(64, 7, generator=generator.manual_seed(1)).requires_grad_()
        teacher = torch.randn(64, 7, generator=generator.manual_seed(2)).requires_grad_()
        distillation_loss(student, teacher, temperature).backward()
        assert teacher.grad is None
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_logits_that_do_not_fit_a_half_are_no_problem():
    loss = distillation_loss(torch.tensor([[900.0, -900.0]]), torch.tensor([[-900.0, 900.0]]), 1.0)
    assert torch.isfinite(loss)


def test_the_backbone_kept_aside_does_not_move():
    backbone = smallest_backbone(4).train()
    teacher = BackboneTeacher(backbone)
    x = torch.randn(3, 3, 8, 8)
    before = teacher.answers(x)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(1.0)
    backbone(x)
    assert not before.requires_grad
    assert torch.equal(teacher.answers(x), before)
    assert not any(module.training for module in teacher.module.modules())
    assert all(module.training for module in backbone.modules())


def test_the_logits_of_a_backbone_that_returns_more():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = smallest_backbone(4)

        def forward(self, x):
            return {"out": self.inner(x), "aux": x}

    assert BackboneTeacher(Two()).answers(torch.zeros(2, 3, 8, 8)).shape == (2, 4)


def test_what_the_teacher_said_to_a_batch_is_not_computed_again(monkeypatch):
    import eenas.training.distillation as distillation

    backbone, kept = smallest_backbone(4), KeptAnswers()
    x, other = (torch.randn(3, 3, 8, 8) for _ in range(2))
    first = BackboneTeacher(backbone, kept).answers(x, "a")
    again = BackboneTeacher(backbone, kept)
    monkeypatch.setattr(again.module, "forward", None)
    assert torch.equal(again.answers(x, "a"), first)
    with pytest.raises(TypeError):
        again.answers(x)  # images without a name do not come again
    monkeypatch.setattr(distillation, "MAX_KEPT", first.numel() * first.element_size())
    teacher = BackboneTeacher(backbone, kept)
    assert not torch.equal(teacher.answers(other, "b"), first)
    assert kept.get("b") is None  # no room
    assert kept.get("a") is first
