"""A study of networks with norms and attention beside one with convolutions."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")
hub = pytest.importorskip("keras_hub", reason="install the extra 'hub'")

import edgedyn as ed  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_convnext_and_a_vision_transformer_take_part_beside_mobilenet(tmp_path):
    hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=(8, 8),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    ).save_to_preset(tmp_path / "vit")
    scaling = {"scale": 1 / 127.5, "offset": -1.0}
    converter = hub.layers.ViTImageConverter(image_size=(32, 32), **scaling)
    converter.save_to_preset(tmp_path / "vit")
    candidates = [
        {"name": name, "backbone": backbone, "weights": weights}
        for name, backbone, weights in [
            ("mobilenet", "MobileNetV2", "none"),
            ("convnext", "ConvNeXtTiny", "none"),
            ("vit", f"keras_hub:{tmp_path / 'vit'}", "imagenet"),
        ]
    ]
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.integers(0, 256, (60, 32, 32, 3)) // (1 + y[:, None, None, None])
    np.savez(tmp_path / "images.npz", x=x.astype(np.uint8), y=y)
    found = ed.select(
        data={"spec": f"npz:{tmp_path / 'images.npz'}"},
        candidates=candidates,
        training={"epochs": 4, "early_epochs": 3},
        probe={"units": [8, 6]},
        output=tmp_path / "study",
        stage="early",
    )
    assert [record.status for record in found.records] == ["early"] * 3
    values = {r.model: [e.beta_eff for e in r.epochs] for r in found.records}
    assert sorted(values) == ["convnext", "mobilenet", "vit"]
    assert np.isfinite(list(values.values())).all()
