"""What went wrong in a trial, in the words of who reads it: status, ranking, launch, explanations and the dashboard.

A verdict names the figure that crossed a bound (`max_objectness`) and the rule that saw it; both stay in the evidence.
"""

from collections.abc import Mapping

RULE = "rule"  # evidence of the watch: the name of the rule that fired

_SUBJECTS: Mapping[str, str] = {
    "loss": "the loss",
    "loss_rpn_class": "the RPN's objectness loss",
    "loss_rpn_box": "the RPN's box loss",
    "loss_roi_class": "the classification loss",
    "loss_roi_box": "the box loss",
    "gradient": "the gradient",
    "backbone": "the backbone",
    "pyramid": "the feature pyramid",
    "rpn": "the RPN",
    "box_head": "the box head",
}

#: By the name of a rule of the watch. `{}` is what it saw that in.
BY_RULE: Mapping[str, str] = {
    "not finite": "{} became infinite or no number",
    "exploding": "{} exploded",
    "update too large": "the weights of {} changed too fast",
    "saturated logits": "the scores exploded",
    "degenerate proposals": "the RPN proposed boxes of absurd size",
    "gradient spike": "the gradient jumped early",
    "not learning": "the weights hardly moved",
    "idle part": "the weights of {} did not move",
    "no positives": "no anchor was like any box",
    "low-quality matches": "the anchors do not fit the boxes",
    "few proposals": "hardly any RPN proposal was left",
    "rpn stuck": "the RPN found no more objects than at first",
    "roi head starved": "the RPN's proposals missed the objects",
    "background collapse": "every object was called background",
    "pixel scaling": "the pixels are scaled wrongly",
    "unusual pixels": "the pixels are not those of usual pictures",
    "features": "the backbone's first weights are wrong",
    "untrained batch norm": "the backbone's first weights are wrong",
    "losses at step 0": "{} was wrong from the start",
    "not finite at the start": "{} was infinite or no number from the start",
    "label range": "a label is beyond the classes",
    "corrupt sample": "single images or their boxes are corrupt",
}

#: By the figure where that alone says more than the rule, and where a trainer or an older study names no rule.
_BY_FIGURE: Mapping[str, str] = {
    "max_objectness": "the RPN's scores exploded",
    "max_class_logit": "the class scores exploded",
    "clamped_deltas": BY_RULE["degenerate proposals"],
    "valid_proposals": BY_RULE["few proposals"],
    "update too small": BY_RULE["not learning"],
    **{name: f"{subject} exploded" for name, subject in _SUBJECTS.items() if name.startswith(("loss", "gradient"))},
}


def cause_words(cause: str, rule: str = "") -> str:
    """What a verdict's cause means, given the rule that fired; the cause itself where no figure hides in it."""
    said = BY_RULE.get(rule, "")
    if "{}" in said:
        return said.format(_SUBJECTS.get(cause, "training"))
    if said and not (rule == "saturated logits" and cause in _BY_FIGURE):
        return said
    return _BY_FIGURE.get(cause, cause)
