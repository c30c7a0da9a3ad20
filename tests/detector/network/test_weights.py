"""Weights: from a file in keras.applications' format, from one of ours, or drawn and calibrated."""

from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from detector.config import BackboneName, Canvas, ConfigError, StepShape
from detector.network import hdf5_file, weights
from detector.network.network import Network, build

SHAPE = StepShape(
    canvas=Canvas(height_px=32, width_px=32), micro_batch=1, anchors_per_cell=3, boxes_per_image=4, classes=2
)

SMALL = replace(SHAPE, backbone=BackboneName.RESNET18)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture(scope="module")
def network() -> Network:
    return build(SHAPE)


@pytest.fixture(scope="module")
def small() -> Network:
    """For what is the same whatever the depth."""
    return build(SMALL)


def write_legacy_weights(model: keras.Model, path: Path) -> None:
    """The HDF5 layout of the files that keras.applications downloads: a group for each layer, its weights by name."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.1.6"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, variable in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(variable)


def other_resnet() -> keras.Model:
    """A ResNet-50 of which every value differs from a fresh one's."""
    resnet = keras.applications.ResNet50(include_top=False, weights=None)
    random = np.random.default_rng(1)
    for variable in resnet.variables:
        variable.assign(random.random(variable.shape, dtype=np.float32))
    return resnet


def assert_same_backbone(network: Network, resnet: keras.Model) -> None:
    expected = {variable.path: np.asarray(variable) for variable in resnet.variables}
    for variable in network.backbone.variables:
        np.testing.assert_array_equal(np.asarray(variable), expected[variable.path])


def test_a_file_in_the_format_of_the_imagenet_download_fills_the_backbone(network: Network, tmp_path: Path) -> None:
    resnet = other_resnet()
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_legacy_weights(resnet, path)
    weights.load_backbone(network, str(path))
    assert_same_backbone(network, resnet)


def test_imagenet_reads_the_downloaded_file(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resnet = other_resnet()
    path = tmp_path / "downloaded.h5"
    write_legacy_weights(resnet, path)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    weights.load_backbone(network, "imagenet")
    assert_same_backbone(network, resnet)


def test_a_download_that_fails_says_what_to_do(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    with pytest.raises(ConfigError, match=r"could not be downloaded .*no route to host.*give a file in `weights`, or"):
        weights.load_backbone(network, "imagenet")


@pytest.mark.parametrize("name", ["weights.h5", "weights.safetensors"])
def test_a_file_that_holds_no_weights_is_named(network: Network, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"not weights")
    with pytest.raises(ConfigError, match=name):
        weights.load_backbone(network, str(path))


def test_a_missing_file_is_named(network: Network) -> None:
    with pytest.raises(ConfigError, match=r"coco, imagenet, none or a file, but there is no file 'nowhere\.h5'"):
        weights.load_backbone(network, "nowhere.h5")


def test_a_saved_detector_comes_back_but_for_heads_of_another_shape(small: Network, tmp_path: Path) -> None:
    values = weights.named_values(
        small, [np.asarray(v) + 1 for v in small.trainable], [np.asarray(v) + 1 for v in small.frozen]
    )
    weights.save_weights(tmp_path / "w.safetensors", values, classes=["a", "b"])
    other = build(SMALL)
    own_logits = {v.path: np.asarray(v) for v in other.trainable if "class_logits" in v.path}
    del values["class_logits/kernel"]
    values["class_logits/kernel"] = np.zeros((1024, 9), np.float32)
    weights.save_weights(tmp_path / "w.safetensors", values, classes=["a", "b"])
    weights.load_backbone(other, str(tmp_path / "w.safetensors"))
    for variable in (*other.trainable, *other.frozen):
        expected = own_logits[variable.path] if variable.path == "class_logits/kernel" else values[variable.path]
        np.testing.assert_array_equal(np.asarray(variable), expected)


def test_a_drawn_backbone_is_kept_and_its_features_stay_at_unit_size(network: Network, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3)).astype(np.uint8)
    weights.initial_backbone(network, "none", 0, images, tmp_path)
    drawn = {v.path: np.asarray(v) for v in network.backbone.variables}
    features = network.backbone(network.kind.preprocess(images.astype(np.float32)), training=False)
    assert [float(np.sqrt(np.mean(np.square(level)))) for level in features] == pytest.approx([0.8] * 4, abs=0.2)

    again = build(SHAPE)
    weights.initial_backbone(again, "none", 0, images, tmp_path)
    for variable in again.backbone.variables:
        np.testing.assert_array_equal(np.asarray(variable), drawn[variable.path])


def test_another_seed_draws_another_backbone(small: Network, tmp_path: Path) -> None:
    images = np.full((2, 32, 32, 3), 7, np.uint8)
    weights.initial_backbone(small, "none", 0, images, tmp_path)
    first = np.asarray(small.backbone.variables[0])
    weights.initial_backbone(small, "none", 1, images, tmp_path)
    assert not np.array_equal(first, np.asarray(small.backbone.variables[0]))


def test_a_damaged_file_that_hdf5_never_finishes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte too many in a valid file; it lies at 2,233."""
    monkeypatch.setattr(hdf5_file, "MOST_S", 1)
    with pytest.raises(ConfigError, match=r"endless\.h5 does not hold weights.*could not read it in 1 s"):
        hdf5_file.check_hdf5(FIXTURES / "endless.h5")


def test_an_array_larger_than_any_weights_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("a", shape=(1 << 40,), chunks=(1 << 20,), dtype=np.float32)
    with pytest.raises(ConfigError, match="a is said to have 4398046511104 bytes"):
        hdf5_file.check_hdf5(tmp_path / "w.h5")


def test_a_backbone_of_another_shape_is_refused(small: Network, tmp_path: Path) -> None:
    values = {v.path: np.ones(v.shape, np.float32) for v in small.backbone.variables}
    first = next(iter(values))
    weights.save_weights(tmp_path / "w.safetensors", values | {first: np.ones((1, 1, 1, 1), np.float32)})
    with pytest.raises(ConfigError, match=f"it lacks {first} and 0 more"):
        weights.load_backbone(small, str(tmp_path / "w.safetensors"))


def test_a_damaged_cache_of_drawn_values_is_drawn_anew(small: Network, tmp_path: Path) -> None:
    images = np.full((2, 32, 32, 3), 7, np.uint8)
    weights.initial_backbone(small, "none", 0, images, tmp_path)
    drawn = np.asarray(small.backbone.variables[0])
    (file,) = tmp_path.glob("*.safetensors")
    weights.save_weights(file, {"another": np.ones(3, np.float32)})
    weights.initial_backbone(small, "none", 0, images, tmp_path)
    np.testing.assert_array_equal(np.asarray(small.backbone.variables[0]), drawn)
