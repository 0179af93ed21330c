"""The model card of a network with experts, in Markdown."""

from eenas.escaping import as_markdown
from eenas.frozen.experts.expert_figures import ExpertFigures
from eenas.percent import percent


def expert_card(figures: ExpertFigures) -> str:
    """Return the card: the worth of the experts on each kind and severity, and how the network is called."""
    names, classifier_macs, backbone_macs = figures.names, figures.classifier_macs, figures.backbone_macs
    heads = ("images", "accuracy", "without experts", "share of MACs", "without experts", "answered by")
    lines = [
        f"# {as_markdown('Early exits with experts for ' + ', '.join(names[1:]))}",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for each in figures.contexts:
        shares = [f"{name} {percent(share, 0)}" for name, share in zip(names, each.chosen, strict=True) if share > 0]
        cells = [
            as_markdown(each.context),
            percent(each.accuracy, 2),
            percent(each.plain_accuracy, 2),
            percent(each.macs / backbone_macs),
            percent(each.plain_macs / backbone_macs),
            as_markdown(", ".join(shares), starts_line=False),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "All figures are of the test split, distorted as the first column says. A light classifier chooses the expert "
        f"of each image before the first exit; its {classifier_macs:,} MACs "
        f"({percent(classifier_macs / backbone_macs, 2)} of the backbone's) and its mistakes are in the figures. Each "
        "expert has its own temperatures and thresholds, fitted on calibration images that the classifier sends to it.",
        *(("", f"{found_size[0].upper()}{found_size[1:]}.") if (found_size := figures.size) else ()),
        "",
        "```python",
        "import eenas",
        "",
        'network = eenas.load_experts("THIS_FOLDER")',
        "answer = network.predict(images)  # uint8 [N, C, H, W]; answer.classes, answer.exits, answer.experts",
        "```",
        "",
    ]
    return "\n".join(lines)
