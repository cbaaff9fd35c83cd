from mogabench.data.images import read_image
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.sample import HEIGHT, WIDTH, sample_figures
from mogabench.tasks.pose.skeleton import KEYPOINTS


def test_the_annotations_are_on_the_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("mogabench.tasks.pose.sample.IMAGES", {"train": 2, "val": 12})
    people = read_people(sample_figures(), "val")
    assert people.identity.samples == 24
    seen = 0
    for person in people.persons:
        image = read_image(person.file)
        points = dict(zip(KEYPOINTS, person.keypoints[:, :2].round().astype(int), strict=True))
        assert image.shape == (HEIGHT, WIDTH, 3)
        for side, sign in (("left", 1), ("right", -1)):
            assert sign * (points[f"{side}_shoulder"][0] - points["nose"][0]) > 0
            for part in ("elbow", "wrist", "knee", "ankle"):
                x, y = points[f"{side}_{part}"]
                if 0 <= x < WIDTH and 0 <= y < HEIGHT:
                    seen += 1
                    # A limb is dark in all colours, the background at least 90 but for its noise.
                    assert image[y, x].max() < 85
    assert seen > 150


def test_they_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("mogabench.tasks.pose.sample.IMAGES", {"train": 1, "val": 1})
    first = sample_figures()
    before = {file: file.stat().st_mtime_ns for file in first.rglob("*")}
    assert sample_figures() == first
    assert {file: file.stat().st_mtime_ns for file in first.rglob("*")} == before
