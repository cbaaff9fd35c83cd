"""3D hands and faces by ExPose's regressor: FreiHAND, FFHQ and Stirling/ESRC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.engine.task import Metric, Task, TaskOptions
from mogabench.tasks.mesh.recipe import MeshRecipe

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject


class Mesh(Task[MeshRecipe, TaskOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "mesh"
    title = "3D hand and face reconstruction"
    methods = ("expose_hand", "expose_face")
    metrics = (
        Metric("pa_mpjpe", "PA-MPJPE (mm)", "mm", lower_is_better=True),
        Metric("pa_mpvpe", "PA-MPVPE (mm)", "mm", lower_is_better=True),
        Metric("rmse_3d", "3DRMSE (mm), a mean distance", "mm", lower_is_better=True),
    )
    default_sizes = {"expose_hand": (224, 224), "expose_face": (256, 256)}
    Recipe = MeshRecipe
    Options = TaskOptions
    sample_recipe = "sample_hands"
    example = "--backbone test_resnet"
    backbone_module = "backbone"
    predictions = ".json"
    datasets = {"expose_hand": "freihand", "expose_face": "stirling-esrc"}
    samples = {"expose_hand": (130_240, 3_960)}
    trained_on = {"expose_face": "ffhq"}

    def default_recipe(self, subject: Subject) -> str:
        """The one of the subject's method."""
        return f"{subject.method}_100e"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights; the body model has none that are learnt."""
        from mogabench.tasks.mesh.network import build_network

        return build_network(subject)

    def normalization(self, network: nn.Module, subject: Subject) -> Normalization:
        """ImageNet's, whatever the backbone's."""
        from mogabench.data.views import IMAGENET

        return IMAGENET

    def prepare(self, job: Job[MeshRecipe, TaskOptions]) -> Setup:
        """Reads data and body model, builds the network and loads its weights."""
        from mogabench.engine.task import Setup, Source
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.mesh.body import Hand
        from mogabench.tasks.mesh.data import open_data
        from mogabench.tasks.mesh.drawing import DrawMeshes
        from mogabench.tasks.mesh.model import MeshEstimator, start_from_mean_pose
        from mogabench.tasks.mesh.network import build_network
        from mogabench.tasks.mesh.pictures import TrainingPictures, WholePictures

        recipe = job.recipe
        data = open_data(job.data, job.subject.method)
        needs_truth = job.train or job.predictions is None
        test_samples, train = data.test_samples(needs_truth=needs_truth), None
        if job.train and recipe is not None:
            train_samples = data.train_samples()
            train = Source(TrainingPictures(train_samples, recipe), train_samples.identity)
        network = build_network(job.network_subject())
        if isinstance(data.body, Hand):
            start_from_mean_pose(network, data.body)
        notes = load_job_weights(self, job, network)
        height, width = job.subject.input_size
        return Setup(
            MeshEstimator(network, data.body, job.subject.method, recipe.loss if recipe else None),
            Source(
                WholePictures(test_samples.files, (height, width)),
                test_samples.identity,
                annotated=bool(test_samples.truth),
            ),
            data.metric(test_samples),
            train,
            notes=notes,
            drawing=DrawMeshes(test_samples, data.body.faces),
            same_shapes=True,
        )

    def predictor(self, job: Job[MeshRecipe, TaskOptions], stated: Description | None) -> Predictor:
        """Reads the body model, builds the network and loads its weights."""
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.mesh.data import read_body
        from mogabench.tasks.mesh.model import MeshEstimator
        from mogabench.tasks.mesh.network import build_network
        from mogabench.tasks.mesh.prediction import MeshPredictor

        data = stated.data.get("name", "") if stated is not None else ""
        body = read_body(job.subject.method, data)
        network = build_network(job.network_subject())
        notes = load_job_weights(self, job, network)
        return MeshPredictor(job, MeshEstimator(network, body, job.subject.method, None), notes)


TASK = Mesh()
