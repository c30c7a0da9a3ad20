"""A study file as text: every value shown, each with a short comment."""

from typing import Any

from detector.config import WEIGHTS_CHOICES, BackboneName
from search.study.specification import ADAPTER, Specification
from search.study.yaml_text import yaml_lines, yaml_value
from spaces.catalogue import DEFINITIONS

#: By section and key; a test holds them complete.
COMMENTS: dict[str, str] = {
    "name": "of the study in its storage",
    "storage": "or postgresql://…; env:NAME or file:PATH keep a password out of here",
    "workers": "processes on this machine",
    "data.folder": "the data as a tool left them: COCO, Pascal VOC, YOLO or CSV",
    "data.train": "COCO: annotations is a .json file; VOC: a folder of XML files, and split lists its stems",
    "data.validation": "without it, a share of the training images",
    "data.validation_share": "split off the training images where there is no validation set",
    "data.follow_links": "read images through links that leave the dataset's folder, as stores of data have them",
    "data.exif": "the frame of the boxes where EXIF turns a picture: upright, or as stored",
    "data.on_bad_image": "refuse, or skip: leave out what is missing, corrupt, too large or of another size",
    "data.most_bad_share": "of a split's images that may be skipped; more are refused",
    "data.left_out": "images without which the study does: {train: [names], validation: [names]}",
    "detector.backbone": " or ".join(BackboneName),
    "detector.weights": WEIGHTS_CHOICES,
    "detector.canvas": "HEIGHTxWIDTH in multiples of 32; auto: the data's own aspect",
    "detector.long_side_px": "of an automatic canvas; auto: 512, without a GPU 256",
    "detector.precision": "float32 or bfloat16",
    "detector.frozen_stages": "0 to 5; auto: 2 with weights, 0 without",
    "detector.micro_batch": "auto: what is fastest and fits, of the divisors of all batch sizes up to 8",
    "detector.proposals": "per image; auto: by canvas, at most 1000",
    "detector.roi_samples": "per image; auto: by canvas, at most 512",
    "imported": "what trial 0 trains: written by `launch --from FILE`",
    "derived": "trial 1's values; auto: anchors that fit the boxes, from scratch also Adam; none: no such trial",
    "first_points": "tried after trials 0 and 1: [{parameter: value, …}, …]",
    "budget.trials": "in the study, over all launches; auto: 30, or what budget.trainings is enough for",
    "budget.trainings": "what the whole study may cost, in full trainings; auto: what its trials need",
    "budget.images": "seen by a full trial; auto: 12 epochs, but 960 to 24000",
    "budget.rungs": "[images, …] after which trials are compared, or how many; auto: by reduction_factor",
    "budget.validation_images": "evaluate on at most so many",
    "budget.until_settled": "true: begin no trial when more are likely to add less than the best AP's error",
    "sampler.name": "model (a Gaussian process), tpe or random",
    "sampler.seed": "of proposals, weights and data order",
    "sampler.startup_trials": "at random before the sampler learns; auto: 5, with tpe a third, at most 10",
    "sampler.least_anchor_fit": "proposals that fit less of the boxes than this part of the best are not trained",
    "sampler.most_divergence_risk": "proposals that are likelier to diverge, by earlier trials, are not trained",
    "pruner.name": "promotion, halving, hyperband, median or none",
    "pruner.reduction_factor": "one in so many goes on from a rung; auto: 4 with promotion, else 3",
    "pruner.checkpoints_gb": "what checkpoints of paused trials may take on one machine",
    "watch.enabled": "stop trials that diverge or do not learn",
}

_HEAD = "# A study of frcnn-search. Everything but `data` may be left out: these are its values."
_SPACE_HEAD = (
    "  # `parameter: value` fixes it, a list gives choices, {low, high, log} a range",
    "  # anchors: {sizes_px: [128, 256, 512], ratios: [0.5, 1, 2]}  # in place of the anchor parameters",
)
_HIDDEN_UNLESS_CHANGED = {"trainer": "detector"}


def study_text(specification: Specification) -> str:
    """A study file that `load_study_file` reads as this specification, paths as they stand in it.

    The storage is written as it is, password included: refer to it with `env:` or `file:`.
    """
    document = _given(ADAPTER.dump_python(specification, mode="json"))
    lines = [_HEAD]
    for key, value in document.items():
        if _HIDDEN_UNLESS_CHANGED.get(key) == value:
            continue
        if key == "imported":
            lines += ["", *_imported_lines(value)]
        elif key == "space":
            lines += ["", "space:", *_space_lines(value)]
        elif isinstance(value, dict) and key != "derived":
            lines += ["", f"{key}:", *(setting_line(key, *setting) for setting in value.items())]
        else:
            lines += [key_line(key, value)]
    return "\n".join(lines) + "\n"


def _imported_lines(document: dict[str, Any]) -> list[str]:
    """The section of trial 0's configuration, with what it is."""
    source = " ".join(f"{document['file']} ({document['framework']})".split())  # on one line, whatever its name
    return [
        f"# Trial 0 trains this as it is, whatever the space: {source}.",
        "# `keys` says where each value stood there. Without this section trial 0 is the reference.",
        *yaml_lines({"imported": {key: value for key, value in document.items() if key != "keys"}}).splitlines(),
        "  keys:" + ("" if document["keys"] else " {}"),
        *(f"    {_line(name, key, '')}" for name, key in document["keys"].items()),
    ]


def key_line(key: str, value: object) -> str:
    """The line of a key beside the sections, with its comment."""
    return _line(key, value, COMMENTS.get(key, ""))


def setting_line(section: str, key: str, value: object) -> str:
    """The line of one setting in its section, with its comment."""
    return f"  {_line(key, value, COMMENTS.get(f'{section}.{key}', ''))}"


def parameter_line(name: str, entry: object) -> str:
    """The line of one parameter in the space section, with its comment."""
    return f"  {_line(name, entry, DEFINITIONS[name].about if name in DEFINITIONS else '')}"


def _space_lines(document: dict[str, Any]) -> list[str]:
    """One line for each parameter; those absent from the space follow as comments."""
    lines = list(_SPACE_HEAD)
    lines += [parameter_line(name, entry) for name, entry in document.items()]
    for name, definition in DEFINITIONS.items():
        if definition.optional and name not in document:
            lines.append(f"  # {_line(name, definition.reference, definition.about)}")
    return lines


def _line(key: str, value: object, comment: str) -> str:
    return f"{key}: {yaml_value(value)}" + (f"  # {comment}" if comment else "")


def _given(value: Any) -> Any:
    """The value without the keys that hold nothing."""
    return {key: _given(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else value
