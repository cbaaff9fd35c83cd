"""2D human pose: COCO's key points by SimpleBaseline, a person at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.catalogue import backbones
from mogabench.errors import UserError
from mogabench.recipes.pose_schema import PoseRecipe, PoseTest
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.pose.network import PoseNetwork
    from mogabench.subject import Subject


class Pose:
    """See `mogabench.tasks.Task`."""

    name = "pose"
    title = "2D human pose estimation"
    methods = ("simple_baseline",)
    metrics = (
        Metric("pose_ap", "AP (%)", "%"),
        Metric("pose_ap50", "AP50 (%)", "%"),
        Metric("pose_ap75", "AP75 (%)", "%"),
        Metric("pose_ar", "AR (%)", "%"),
    )
    default_sizes: Mapping[str, tuple[int, ...]] = dict.fromkeys(methods, (256, 192))
    recipe_schema = PoseRecipe
    sample_recipe = "sample_figures"
    datasets: Mapping[str, str] = dict.fromkeys(methods, "coco-keypoints")
    counting = "one image of a person"

    def default_recipe(self, subject: Subject) -> str:
        """The one for the subject's size, or the smaller one for a size that has none."""
        large = subject.input_size == (384, 288)
        return "simple_baseline_384x288" if large else "simple_baseline_256x192"

    def backbones(self) -> Collection[str]:
        """Every network that timm knows."""
        return backbones()

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights.

        Raises:
            UserError: timm knows no such backbone, or it has no such option or no feature maps.
        """
        from mogabench.pose.network import build_network

        return build_network(subject)

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random pictures ``(batch_size, 3, H, W)``."""
        import torch

        return (torch.randn(batch_size, 3, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Reads the persons, builds the network, loads weights, joins them up.

        Raises:
            UserError: Data, weights and recipe do not fit together.
        """
        from mogabench.engine.job import SAMPLE
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.runner import batches_per_step, make_runner
        from mogabench.pose.coco import read_people
        from mogabench.pose.drawing import DrawPoses
        from mogabench.pose.estimator import PoseEstimator
        from mogabench.pose.metric import KeypointAP
        from mogabench.pose.pictures import PersonPictures, TrainingPictures
        from mogabench.samples.figures import sample_figures

        assert job.work_dir is not None
        root = sample_figures() if job.data == SAMPLE else Path(job.data).expanduser()
        recipe = job.recipe if isinstance(job.recipe, PoseRecipe) else None
        test_people = read_people(root, "val", job.boxes)
        train_people = training = None
        if job.train and recipe is not None:
            train_people = read_people(root, "train")
            pictures = TrainingPictures(train_people.persons, recipe)
            training = training_loader(job, pictures, batches_per_step(job)[0])
        height, width = job.subject.input_size
        shown = PersonPictures(test_people.persons, (height, width))
        metric = KeypointAP(test_people, shown)
        hooks = [DrawPoses(job.work_dir, metric)] if job.train or job.data == SAMPLE else []
        return make_runner(
            job,
            PoseEstimator(_network(job), job, recipe.test if recipe else PoseTest()),
            training=training,
            evaluation=evaluation_loader(job, shown, job.batch_size or 32),
            metric=metric,
            train_data=train_people.identity if train_people else None,
            test_data=test_people.identity,
            hooks=hooks,
            same_shapes=True,
        )


def _network(job: Job) -> PoseNetwork:
    """The job's network, with the weights it names: a whole one's, or, to train, a backbone's."""
    from mogabench.checkpoints import load_weights, read_state_dict
    from mogabench.engine.randomness import seed_everything
    from mogabench.pose.network import build_network

    seed_everything(job.seed)
    drop_path = job.recipe.model.drop_path if job.recipe and job.train else 0
    network = build_network(job.subject, **{"drop_path_rate": drop_path} if drop_path else {})
    if job.weights is None:
        return network
    has_head = any("keypoint_head." in key for key in read_state_dict(job.weights).state_dict)
    if not (has_head or job.train):
        raise UserError(
            f"{job.weights} holds no key point head, so it cannot be evaluated; --train trains one"
        )
    load_weights(network if has_head and not job.new_head else network.backbone, job.weights)
    return network


TASK = Pose()
