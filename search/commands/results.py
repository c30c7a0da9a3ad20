"""Commands on what a study found, and on what is trained from it."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from detector.config import ConfigError, NamedWeights, require
from search.commands.study_file import StudyFile, opened, yaml_files
from search.exit_codes import exit_codes
from search.study.default_file import DEFAULT_STUDY_FILE
from search.terminal import PlainConsole, say

OURS = "frcnn"  # the format of a configuration that `train` reads

STARTS = "|".join(("FILE", *NamedWeights))  # of a full training


def explain(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    trial: Annotated[
        int | None, typer.Argument(min=0, metavar="TRIAL", help="Number of a trial; without one, the whole study.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Replay the trial and its repair for a short while: does the repair hold?")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=1, help="Training images of each replay [default: half as many more as it took].")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write one self-contained page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    without_data: Annotated[
        bool, typer.Option("--without-data", help="Read no image or annotation: no anchors, no images of a batch.")
    ] = False,
) -> None:
    """Say why trials failed and what to change; of one trial, with its evidence and the smallest repair."""
    with exit_codes():
        from search.explanation.explain_command import Options
        from search.explanation.explain_command import explain as run

        if trial is None and study_file.name.isdecimal() and not study_file.exists():
            study_file, trial = DEFAULT_STUDY_FILE, int(study_file.name)  # `explain 3`
        if trial is None and not study_file.suffix and not study_file.exists():  # `explain nine`
            raise ConfigError(
                f"{study_file} is neither a study file nor the number of a trial; write, for example, "
                f"frcnn-search explain {DEFAULT_STUDY_FILE} 3"
            )
        if images is not None and not confirm:
            raise ConfigError("--images is the length of a replay; give it together with --confirm")
        options = Options(
            trial=trial,
            confirm=confirm,
            images=images,
            html=html,
            as_json=as_json,
            with_data=not without_data,
            study_file=study_file,
        )
        with opened(study_file) as (specification, stored):
            run(stored, specification, options, folder=study_file.resolve().parent, console=PlainConsole())
        if html is not None:
            say(f"wrote {html}", err=True)


def export(
    study_file: StudyFile = DEFAULT_STUDY_FILE,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The file to write, or a folder (default: the format's own name, here)."),
    ] = None,
    trial: Annotated[int | None, typer.Option(min=0, help="Number of another trial than the best.")] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="frcnn, which `train` reads; detectron2, mmdet, torchvision, tf-od or tfm: files which these "
            "train by; all, into a folder.",
        ),
    ] = OURS,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Images of the training in another framework (default: the study's budget)."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Instead, write the weights of --from as torchvision, detectron2, savedmodel, onnx, keras.",
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="WEIGHTS", help="weights.safetensors, as `train` leaves it.")
    ] = None,
    onto: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file that trial 0 came from: write it as mended_FILE, or as --output says, with what was found "
            "wrong in it mended and only those values changed that mend trial 0, or with the best trial's.",
        ),
    ] = None,
) -> None:
    """Write the best configuration, complete, with where it comes from: for `train`, or for another framework.
    With --weights: write trained weights for another framework, or as a model that runs elsewhere."""
    with exit_codes():
        if weights is not None or source is not None:
            others = {
                "--trial": trial,
                "--images": images,
                "--onto": onto,
                "--format": None if format == OURS else format,
            }
            given = next((name for name, value in others.items() if value is not None), None)
            require(given is None, f"{given} is of a configuration; with --weights, --from says which weights")
            say(_exported_weights(weights, source, output))
            return
        with opened(study_file) as (specification, stored):
            from search.export.export import export as write

            if onto is not None:
                from search.commands.onto import write_onto

                require(images is None, "--images has no part in --onto: the file's own length stays")
                mended = output or Path(f"mended_{onto.name}")
                say(write_onto(stored, specification, file=onto, output=mended, trial=trial, format=format))
                return
            written = write(stored, specification, output=output, trial=trial, format=format, images=images)
            for line in written.lines:
                say(line)
            for warning in written.warnings:
                say(f"warning: {warning}", err=True)


def _exported_weights(format: str | None, source: Path | None, output: Path | None) -> str:
    """What was written, in a line."""
    if format is None or source is None or output is None:
        raise ConfigError(
            "weights need --weights, --from and --output; write, for example, frcnn-search export --weights onnx "
            "--from trained/weights.safetensors --output model.onnx"
        )
    from search.export.native_messages import hidden_messages
    from search.export.weight_formats import export_weights

    with hidden_messages():
        return export_weights(source, output, format=format)


def train(
    configuration: Annotated[
        Path, typer.Argument(metavar="CONFIGURATION", help="A file that `export` wrote.", autocompletion=yaml_files)
    ],
    images: Annotated[
        int | None, typer.Option(min=1, help="Training images to see in all (default: the budget of the trial).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another folder of data than the study's.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar=STARTS, help="What to start from (default: what the file says)."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the weights and the checkpoint.")] = Path("trained"),
    seed: Annotated[int | None, typer.Option(help="Seed of weights and batches (default: the trial's).")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write losses, learning rate and AP for TensorBoard.")
    ] = False,
) -> None:
    """Train one configuration in full, print its COCO AP and keep the weights. Run it again to go on after ctrl-c,
    with more images to go on for longer."""
    with exit_codes():
        from search.training.full_training import train as run

        code = run(
            configuration,
            images=images,
            data=data,
            output=output,
            seed=seed,
            weights=weights,
            tensorboard=tensorboard,
        )
        raise typer.Exit(code)


def evaluate(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="weights.safetensors, as `train` leaves it.")],
    data: Annotated[
        Path,
        typer.Option(
            help="A folder, a file of annotations, or a file with a section `data`; its validation split, or all."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for tables and pictures: by class, curves, confusions.")
    ] = None,
    least_score: Annotated[
        float, typer.Option(min=0, max=1, help="Objects with less do not count in the confusion matrix.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """COCO AP of trained weights on annotated data, overall, by size and by class."""
    with exit_codes():
        from search.export.evaluation import evaluate as run
        from search.export.native_messages import hidden_messages

        with hidden_messages():
            console = PlainConsole(quiet=as_json)
            metrics = run(weights, data, console, output=output, least_score=least_score)
        if as_json:
            say(json.dumps({name: None if math.isnan(value) else value for name, value in metrics.items()}, indent=2))


def predict(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="weights.safetensors, as `train` leaves it.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files, or folders of them.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for detections.json and the pictures.")],
    least_score: Annotated[float, typer.Option(min=0, max=1, help="Objects with less are left out.")] = 0.5,
) -> None:
    """Find objects in images: COCO JSON with scores, and a picture of each image with boxes and names."""
    with exit_codes():
        from search.export.native_messages import hidden_messages
        from search.export.prediction import predict as run

        with hidden_messages():
            run(weights, images, output, least_score=least_score, console=PlainConsole())
