"""2D human pose: COCO's key points by SimpleBaseline, a person at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mogabench.engine.coco_files import CocoFiles
from mogabench.engine.task import Metric, Task
from mogabench.tasks.pose.recipe import PoseRecipe

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject


class PoseOptions(CocoFiles):
    """What pose adds to the command line."""

    boxes: Path | None = Field(
        None,
        description="Detected persons in COCO's results format; default: the ground-truth boxes.",
        json_schema_extra={"metavar": "FILE"},
    )


class Pose(Task[PoseRecipe, PoseOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "pose"
    title = "2D human pose estimation"
    methods = ("simple_baseline",)
    metrics = (
        Metric("pose_ap", "AP (%)", "%"),
        Metric("pose_ap50", "AP50 (%)", "%"),
        Metric("pose_ap75", "AP75 (%)", "%"),
        Metric("pose_ar", "AR (%)", "%"),
    )
    default_sizes = {"simple_baseline": (256, 192)}
    Recipe = PoseRecipe
    Options = PoseOptions
    sample_recipe = "sample_figures"
    predictions = ".json"
    backbone_module = "backbone"
    datasets = {"simple_baseline": "coco-keypoints"}
    samples = {"simple_baseline": (149_813, 104_125)}
    beside_data = ("--boxes", "FILE")
    counted_input = "one image of a person"

    def default_recipe(self, subject: Subject) -> str:
        """The one for the subject's size, or the smaller one for a size that has none."""
        large = subject.input_size == (384, 288)
        return "simple_baseline_384x288" if large else "simple_baseline_256x192"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights."""
        from mogabench.tasks.pose.network import build_network

        return build_network(subject)

    def training_example(self, subject: Subject, batch_size: int) -> tuple[Trained, dict[str, Any]]:
        """Random pictures and heat maps; the loss is their squared error."""
        import torch

        from mogabench.tasks.pose.model import PoseEstimator
        from mogabench.tasks.pose.skeleton import KEYPOINTS, STRIDE

        (pictures,) = self.example_inputs(subject, batch_size)
        cells = (side // STRIDE for side in subject.input_size)
        targets = torch.rand(batch_size, len(KEYPOINTS), *cells)
        batch = {"inputs": pictures, "targets": targets, "weights": torch.ones(targets.shape[:2])}
        return PoseEstimator(self.build(subject), None), batch

    def normalization(self, network: nn.Module, subject: Subject) -> Normalization:
        """ImageNet's, whatever the backbone's."""
        from mogabench.data.views import IMAGENET

        return IMAGENET

    def prepare(self, job: Job[PoseRecipe, PoseOptions]) -> Setup:
        """Reads the persons, builds the network and loads its weights."""
        from mogabench.engine.task import Setup, Source
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.pose.data import read_people
        from mogabench.tasks.pose.drawing import DrawPoses
        from mogabench.tasks.pose.metric import KeypointAP
        from mogabench.tasks.pose.model import PoseEstimator
        from mogabench.tasks.pose.network import build_network
        from mogabench.tasks.pose.pictures import PersonPictures, TrainingPictures

        recipe = job.recipe
        test_people = read_people(job.data, "val", job.options.boxes, job.options)
        train, notes = None, [*test_people.notes]
        if job.train and recipe is not None:
            people = read_people(job.data, "train", files=job.options)
            train = Source(TrainingPictures(people.persons, recipe), people.identity)
            notes[:0] = people.notes
        network = build_network(job.network_subject())
        notes += load_job_weights(self, job, network)
        height, width = job.subject.input_size
        pictures = PersonPictures(test_people.persons, (height, width))
        metric = KeypointAP(test_people, pictures)
        return Setup(
            PoseEstimator(network, recipe),
            Source(pictures, test_people.identity, annotated=test_people.annotated),
            metric,
            train,
            notes=notes,
            drawing=DrawPoses(metric),
            eval_batch=32,
            same_shapes=True,
        )

    def predictor(self, job: Job[PoseRecipe, PoseOptions], stated: Description | None) -> Predictor:
        """Builds the network and loads its weights."""
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.pose.model import PoseEstimator
        from mogabench.tasks.pose.network import build_network
        from mogabench.tasks.pose.prediction import PosePredictor

        network = build_network(job.network_subject())
        notes = load_job_weights(self, job, network)
        return PosePredictor(job, PoseEstimator(network, job.recipe), notes)


TASK = Pose()
