import numpy as np
import pytest
import torch

from mogabench.tasks.video.metric import FrameQuality, frame_quality

SIZE = (3, 2, 1, 64, 64)


@pytest.fixture
def pair():
    """Smooth random frames and noisy copies, which leave [0, 1] in places."""
    random = torch.Generator().manual_seed(0)
    true = torch.nn.functional.avg_pool2d(torch.rand(6, 1, 68, 68, generator=random), 5, 1)
    true = ((true - true.min()) / (true.max() - true.min())).reshape(SIZE)
    return true + 0.2 * torch.randn(SIZE, generator=random), true


def test_equals_scikit_image(pair):
    metrics = pytest.importorskip("skimage.metrics", reason="needs pip install -e '.[dev]'")
    predicted, true = pair
    found = frame_quality(predicted, true)
    clipped = predicted.clamp(0, 1).double().numpy()
    for index in np.ndindex(*SIZE[:2]):
        ours, theirs = true.double().numpy()[index][0], clipped[index][0]
        # Today's defaults but for the range, which it took from the type up to 0.19.
        ssim = metrics.structural_similarity(ours, theirs, data_range=2)
        assert found["ssim"][index].item() == pytest.approx(ssim, abs=1e-12)
        psnr = metrics.peak_signal_noise_ratio(ours, theirs, data_range=1)
        assert found["psnr"][index].item() == pytest.approx(psnr, abs=1e-10)
        mse = metrics.mean_squared_error(ours, predicted.double().numpy()[index][0]) * 64 * 64
        assert found["mse"][index].item() == pytest.approx(mse, rel=1e-12)


def test_closed_forms():
    true = torch.full(SIZE, 0.4, dtype=torch.float64)
    found = frame_quality(true + 0.1, true)
    for name, value in {"mse": 40.96, "mae": 409.6, "psnr": 20.0}.items():
        assert found[name].numpy() == pytest.approx(np.full(SIZE[:2], value))
    # Both constant: the second factor of SSIM is one, the first (2 a b + c) / (a² + b² + c).
    expected = (2 * 0.4 * 0.5 + 4e-4) / (0.4**2 + 0.5**2 + 4e-4)
    assert found["ssim"].numpy() == pytest.approx(np.full(SIZE[:2], expected))


def test_what_leaves_the_range_counts_for_errors_and_not_for_likeness():
    true = torch.rand(SIZE).round()
    found = frame_quality(3 * true - 1, true)
    assert found["mae"].unique().tolist() == [64 * 64]
    assert found["ssim"].numpy() == pytest.approx(np.ones(SIZE[:2]))
    assert (found["psnr"] == 100).all()


def test_a_perfect_prediction():
    true = torch.rand(SIZE)
    found = frame_quality(true, true)
    assert found["ssim"].numpy() == pytest.approx(np.ones(SIZE[:2]))
    assert (found["mse"] == 0).all()
    assert (found["psnr"] == 100).all()


def test_means_over_batches_of_any_size_and_the_baseline():
    random = torch.Generator().manual_seed(1)
    frames = torch.randint(256, (5, 4, 1, 16, 16), dtype=torch.uint8, generator=random)
    predicted = torch.rand(5, 2, 1, 16, 16, generator=random)
    metric = FrameQuality(2)
    for part in (slice(0, 3), slice(3, 5)):
        metric.process({"frames": frames[part]}, predicted[part])
    measured = metric.evaluate(5)
    true = frames.double() / 255
    for name, value in frame_quality(predicted, true[:, 2:]).items():
        assert measured[name] == pytest.approx(value.mean().item())
    for name, value in frame_quality(true[:, 1:2].expand(5, 2, 1, 16, 16), true[:, 2:]).items():
        assert metric.baseline[name] == pytest.approx(value.mean().item())


def test_the_file_of_predictions_is_in_the_splits_order(tmp_path, pair):
    predicted, true = pair
    metric = FrameQuality(1)
    metric.predictions, metric.unread = tmp_path / "frames.npy", {1}
    frames = torch.cat([true[:, :1], true], 1)
    for places in ([3, 0], [2]):
        batch = {"frames": frames[: len(places)], "index": torch.tensor(places)}
        metric.process(batch, [predicted[place % 3] for place in places])
    metric.evaluate(3)
    found = np.load(metric.predictions)
    assert np.array_equal(found[[0, 2, 3]], predicted[[0, 2, 0]].numpy())
    assert np.isnan(found[1]).all() and len(found) == 4
