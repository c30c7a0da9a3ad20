"""The figures at which the rules of the watch fire, and why there. Their false alarms: docs/decisions/0009."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Steps are optimizer steps; shares lie in [0, 1]. F numbers are those of the failure modes in docs/watch.md."""

    window_steps: int = 20  # of a running mean: a single bad batch must not end a trial
    streak_steps: int = 5  # in a row, for what no healthy step shows: a spike passes sooner

    # The first steps: the weights are the initial ones, so that no hyperparameter has a say (F7, F8, F9).
    opening_steps: int = 5  # one flat picture is no scaling fault; five batches of them are
    flat_pixels: float = 1.5  # deviation, in levels of 0 … 255: pixels divided by 255 have 0.3, a dark X-ray over 5
    impossible_pixel_mean: float = 155.0  # 8-bit levels less ResNet's means lie between -123.7 and 151.1
    impossible_pixel_deviation: float = 140.0  # half of that range, all pixels black or white, is 137.4
    unusual_pixel_mean: float = 100.0  # off the usual one, which is 0; bright-field microscopy has 69
    unusual_pixel_deviation: float = 9.0  # levels: a seventh of the usual 58; bright-field microscopy has 20
    feature_rms: tuple[float, float] = (0.02, 100.0)  # of P2; healthy: see 0009
    start_rpn_class: float = 0.1  # off ln 2 an anchor: objectness says nothing yet
    start_roi_class: float = 1.0  # off ln(K + 1) a RoI; features of another size than usual make it 0.3

    # Divergence (F1, F2, F3, F6, F24, F25).
    explosion_ratio: float = 10.0  # running mean of the loss over the median of the first steps …
    explosion_floor: float = 20.0  # … but never below this: a healthy total is under 10
    absurd_loss: float = 1e3  # of one term
    large_update_ratio: float = 0.1  # |change| / |weights| a step: ten such steps replace the weights
    saturated_objectness: float = 50.0  # the sigmoid's gradient is 2e-22 there, and bfloat16 has no more digits
    saturated_class_logit: float = 100.0
    clamped_share: float = 0.05  # of the RPN's sides that ask for over ×62; ÷62 may be right, for far too large anchors
    fewest_proposals: float = 0.05  # of the slots, over as many steps as for positives
    spike_ratio: float = 10.0  # gradient norm over its running mean
    spike_steps: int = 50  # the first ones, or twice the warm-up where that is longer

    # Stagnation (F5, F10, F20, F21, F22, F23).
    dead_update_ratio: float = 1e-6  # |change| / |weights| a step: 10,000 such steps move the weights by 1 %
    dead_after_share: float = 0.25  # of the budget, so that warm-up is over …
    dead_after_steps: int = 20  # … and this many at least
    positives_window_steps: int = 50
    fewest_positives: float = 1.0  # anchors an image, or a box where images have less than one
    most_forced_share: float = 0.98  # of positives that only the low-quality rule made; small objects have 0.8 or so
    most_forced_per_box: float = 20.0  # so many anchors tie when they all contain the box
    patience_steps: int = 300  # past warm-up; nothing learnt by then is not learnt later (Detectron2 #627)
    stuck_recall: float = 0.2  # of proposals at IoU 0.5 …
    stuck_gain: float = 0.05  # … that has not risen by this since step 50
    recall_reference_step: int = 50
    starved_share: float = 0.01  # of sampled RoIs that are foreground without the ground truth
    collapsed_share: float = 0.99  # of foreground RoIs that are called background
