"""3D hands and faces by ExPose's regressor: FreiHAND, FFHQ and Stirling/ESRC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.catalogue import backbones
from mogabench.errors import UserError
from mogabench.recipes.mesh_schema import MeshRecipe
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.mesh.body import SkinnedMesh
    from mogabench.mesh.network import MeshNetwork
    from mogabench.subject import Subject


class Mesh:
    """See `mogabench.tasks.Task`."""

    name = "mesh"
    title = "3D hand and face reconstruction"
    methods = ("expose_hand", "expose_face")
    metrics = (
        Metric("pa_mpjpe", "PA-MPJPE (mm)", "mm", higher_is_better=False),
        Metric("pa_mpvpe", "PA-MPVPE (mm)", "mm", higher_is_better=False),
        Metric("rmse_3d", "3DRMSE (mm), a mean distance", "mm", higher_is_better=False),
    )
    default_sizes: Mapping[str, tuple[int, ...]] = {
        "expose_hand": (224, 224),
        "expose_face": (256, 256),
    }
    recipe_schema = MeshRecipe
    sample_recipe = "sample_hands"
    datasets: Mapping[str, str] = {"expose_hand": "freihand", "expose_face": "stirling-esrc"}
    counting = "one image"

    def default_recipe(self, subject: Subject) -> str:
        """The one of the subject's method."""
        return f"{subject.method}_100e"

    def backbones(self) -> Collection[str]:
        """Every network that timm knows."""
        return backbones()

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights; the body model has none that are learnt.

        Raises:
            UserError: timm knows no such backbone, or it has no such option.
        """
        from mogabench.mesh.network import build_network

        return build_network(subject)

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random pictures ``(batch_size, 3, H, W)``."""
        import torch

        return (torch.randn(batch_size, 3, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Reads data and body model, builds the network, loads weights, joins them up.

        Raises:
            UserError: Data, body model, weights and recipe do not fit together, or are missing.
        """
        from mogabench.engine.job import SAMPLE
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.runner import batches_per_step, make_runner
        from mogabench.mesh.data import Faces, Hands
        from mogabench.mesh.drawing import DrawMeshes
        from mogabench.mesh.estimator import MeshEstimator
        from mogabench.mesh.pictures import TrainingPictures, WholePictures
        from mogabench.samples.hands import sample_hands

        assert job.work_dir is not None
        is_hand = job.subject.method == "expose_hand"
        if job.data == SAMPLE and not is_hand:
            raise UserError("the sample has hands only: --method expose_hand")
        root = sample_hands() if job.data == SAMPLE else Path(job.data).expanduser()
        data = Hands(root) if is_hand else Faces(root)
        recipe = job.recipe if isinstance(job.recipe, MeshRecipe) else None
        exam = data.exam()
        lessons = training = None
        if job.train and recipe is not None:
            lessons = data.lessons()
            pictures = TrainingPictures(lessons, recipe)
            training = training_loader(job, pictures, batches_per_step(job)[0])
        shown = WholePictures(exam.files, (job.subject.input_size[0], job.subject.input_size[1]))
        loss = recipe.loss if recipe else None
        draws = job.train or job.data == SAMPLE
        return make_runner(
            job,
            MeshEstimator(_network(job, data.body), data.body, job, loss),
            training=training,
            evaluation=evaluation_loader(job, shown, job.batch_size or 64),
            metric=data.metric(exam),
            train_data=lessons.identity if lessons else None,
            test_data=exam.identity,
            hooks=[DrawMeshes(job.work_dir, exam, data.body.faces)] if draws else [],
            same_shapes=True,
        )


def _network(job: Job, body: SkinnedMesh) -> MeshNetwork:
    """The job's network, with the weights it names: a whole one's, or, to train, a backbone's."""
    from mogabench.checkpoints import load_weights, read_state_dict
    from mogabench.engine.randomness import seed_everything
    from mogabench.mesh.body import Hand
    from mogabench.mesh.estimator import start_from_mean_pose
    from mogabench.mesh.network import build_network

    seed_everything(job.seed)
    drop_path = job.recipe.model.drop_path if job.recipe and job.train else 0
    network = build_network(job.subject, **{"drop_path_rate": drop_path} if drop_path else {})
    if isinstance(body, Hand):
        start_from_mean_pose(network, body)
    if job.weights is None:
        return network
    has_regressor = any("regressor." in key for key in read_state_dict(job.weights).state_dict)
    if not (has_regressor or job.train):
        raise UserError(
            f"{job.weights} holds no regressor, so it cannot be evaluated; --train trains one"
        )
    whole = has_regressor and not job.new_head
    load_weights(network if whole else network.backbone, job.weights)
    return network


TASK = Mesh()
