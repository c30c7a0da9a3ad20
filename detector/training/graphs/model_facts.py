"""What stands inside an exported model, in words that need no page: its classes, and what its numbers mean."""

import json

from detector.detector_facts import DetectorFacts

FACTS_FILE = "detector.json"


def facts_of_model(facts: DetectorFacts) -> dict[str, object]:
    """The names of the classes by label, the canvas, the anchors, the thresholds."""
    hyperparameters, canvas = facts.hyperparameters, facts.shape.canvas
    return {
        "classes": list(facts.classes),
        "canvas_px": {"height": canvas.height_px, "width": canvas.width_px},
        "anchors": {"sizes_px": hyperparameters.anchors.sizes_px, "ratios": hyperparameters.anchors.ratios},
        "proposal_nms_iou": hyperparameters.proposal_nms_iou,
        "detection_nms_iou": hyperparameters.detection_nms_iou,
        "score_threshold": hyperparameters.score_threshold,
    }


def facts_text(facts: DetectorFacts) -> str:
    """The same as JSON."""
    return json.dumps(facts_of_model(facts), indent=1, ensure_ascii=False)
