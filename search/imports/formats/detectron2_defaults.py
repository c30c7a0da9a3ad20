"""What Detectron2 trains with where a file is silent: its defaults.py, and the base files that it ships."""

from typing import Any

from search.imports.formats.their_document import merged

DEFAULTS: dict[str, Any] = {
    "MODEL": {
        "META_ARCHITECTURE": "GeneralizedRCNN",
        "WEIGHTS": "",
        "MASK_ON": False,
        "KEYPOINT_ON": False,
        "PIXEL_MEAN": [103.53, 116.28, 123.675],
        "PIXEL_STD": [1.0, 1.0, 1.0],
        "BACKBONE": {"NAME": "build_resnet_backbone", "FREEZE_AT": 2},
        "FPN": {"IN_FEATURES": [], "NORM": ""},
        "PROPOSAL_GENERATOR": {"NAME": "RPN"},
        "ANCHOR_GENERATOR": {
            "NAME": "DefaultAnchorGenerator",
            "SIZES": [[32, 64, 128, 256, 512]],
            "ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
            "OFFSET": 0.0,
        },
        "RPN": {
            "IN_FEATURES": ["res4"],
            "IOU_THRESHOLDS": [0.3, 0.7],
            "BATCH_SIZE_PER_IMAGE": 256,
            "POSITIVE_FRACTION": 0.5,
            "NMS_THRESH": 0.7,
        },
        "ROI_HEADS": {
            "NAME": "Res5ROIHeads",
            "NUM_CLASSES": 80,
            "IN_FEATURES": ["res4"],
            "IOU_THRESHOLDS": [0.5],
            "BATCH_SIZE_PER_IMAGE": 512,
            "POSITIVE_FRACTION": 0.25,
            "SCORE_THRESH_TEST": 0.05,
            "NMS_THRESH_TEST": 0.5,
        },
        "RESNETS": {
            "DEPTH": 50,
            "NUM_GROUPS": 1,
            "WIDTH_PER_GROUP": 64,
            "NORM": "FrozenBN",
            "STRIDE_IN_1X1": True,
            "DEFORM_ON_PER_STAGE": [False] * 4,
        },
    },
    "INPUT": {
        "MIN_SIZE_TRAIN": [800],
        "MAX_SIZE_TRAIN": 1333,
        "RANDOM_FLIP": "horizontal",
        "FORMAT": "BGR",
        "CROP": {"ENABLED": False},
    },
    "SOLVER": {
        "LR_SCHEDULER_NAME": "WarmupMultiStepLR",
        "MAX_ITER": 40000,
        "BASE_LR": 0.001,
        "MOMENTUM": 0.9,
        "NESTEROV": False,
        "WEIGHT_DECAY": 0.0001,
        "GAMMA": 0.1,
        "STEPS": [30000],
        "WARMUP_FACTOR": 0.001,
        "WARMUP_ITERS": 1000,
        "WARMUP_METHOD": "linear",
        "IMS_PER_BATCH": 16,
        "REFERENCE_WORLD_SIZE": 0,
        "CLIP_GRADIENTS": {"ENABLED": False, "CLIP_TYPE": "value", "CLIP_VALUE": 1.0, "NORM_TYPE": 2.0},
    },
}

_SCHEDULE = {
    "SOLVER": {"IMS_PER_BATCH": 16, "BASE_LR": 0.02, "STEPS": [60000, 80000], "MAX_ITER": 90000},
    "INPUT": {"MIN_SIZE_TRAIN": [640, 672, 704, 736, 768, 800]},
}

_FPN = {
    "MODEL": {
        "BACKBONE": {"NAME": "build_resnet_fpn_backbone"},
        "FPN": {"IN_FEATURES": ["res2", "res3", "res4", "res5"]},
        "ANCHOR_GENERATOR": {"SIZES": [[32], [64], [128], [256], [512]], "ASPECT_RATIOS": [[0.5, 1.0, 2.0]]},
        "RPN": {"IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"]},
        "ROI_HEADS": {"NAME": "StandardROIHeads", "IN_FEATURES": ["p2", "p3", "p4", "p5"]},
    }
}

_DILATED_C5 = {
    "MODEL": {
        "RESNETS": {"RES5_DILATION": 2},
        "RPN": {"IN_FEATURES": ["res5"]},
        "ROI_HEADS": {"NAME": "StandardROIHeads", "IN_FEATURES": ["res5"]},
    }
}

#: By file name, as `_BASE_` ends with.
BASES: dict[str, dict[str, Any]] = {
    "Base-RCNN-FPN.yaml": merged(_FPN, _SCHEDULE),
    "Base-RCNN-C4.yaml": _SCHEDULE,
    "Base-RCNN-DilatedC5.yaml": merged(_DILATED_C5, _SCHEDULE),
}
