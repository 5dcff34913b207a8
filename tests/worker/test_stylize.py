"""Carrying a job out, in this process: how each job ends, and what is left of it."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from redis import Redis

from core.engine.errors import EngineError, MemoryLimitError
from core.engine.options import StyleOptions
from core.jobs.artifacts import RESULT, ArtifactStore, FolderArtifacts, open_artifacts
from core.jobs.errors import ArtifactMissing, NotReadyYet
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.provenance import Provenance
from core.settings import Settings
from worker.drain import Drain
from worker.memory import resident_bytes
from worker.studio import Studio
from worker.stylize import carry_out, carry_out_next
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """One for all, warm after the first job."""
    threads = torch.get_num_threads()
    yield Studio(
        device="cpu", weights="seeded", weights_dir=Path("nowhere"), threads=1, memory_bytes=0, warm_networks=4
    )
    torch.set_num_threads(threads)


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    return open_artifacts(settings.artifacts)


@pytest.fixture
def workshop(studio: Studio, redis: Redis, artifacts: ArtifactStore) -> Workshop:
    return Workshop(
        studio, JobStore(redis, keep_seconds=3600), artifacts, lease_seconds=30, checkpoint_seconds=5, drain=Drain()
    )


def events(redis: Redis, job_id: str) -> list[tuple[int, str, Any]]:
    """(milliseconds, type, data) of each event of a job."""
    stream: Any = redis.xrange(f"strata:events:{job_id}")
    return [(int(at.split(b"-")[0]), e[b"type"].decode(), json.loads(e[b"data"])) for at, e in stream]


def test_a_job_ends_with_picture_losses_and_measures(workshop: Workshop, service: JobService, submit: Submit) -> None:
    job = submit()

    carry_out(job.id, workshop)

    done = service.get(job.id)
    assert (done.status, done.outcome, done.error) == (JobStatus.SUCCEEDED, "finished", None)
    assert (done.progress.iteration, done.progress.fraction, done.progress.eta_seconds) == (5, 1.0, 0.0)
    assert done.expires_at is not None
    picture = Image.open(io.BytesIO(service.image(job.id)))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (64, 43))
    assert set(picture.info) == {"strata", "icc_profile"}
    losses = service.losses(job.id)
    assert [entry["iteration"] for entry in losses] == [1, 2, 3, 4, 5]
    assert losses[-1]["total"] < losses[0]["total"]
    assert set(losses[0]["style_by_layer"]) == set(job.options.layer_weights)


def test_the_measures_say_what_drew_the_picture_and_how_long_it_took(
    workshop: Workshop, service: JobService, submit: Submit
) -> None:
    job = submit(iterations=30)

    carry_out(job.id, workshop)

    metrics = service.get(job.id).metrics
    assert metrics is not None
    assert (metrics.network, metrics.weights, metrics.device, metrics.dtype, metrics.iterations) == (
        *("strata-small", "seeded-v1", "cpu", "float32"),
        30,
    )
    assert metrics.style_distance is not None
    assert metrics.content_style_distance is not None
    assert 0 < metrics.style_distance < metrics.content_style_distance
    assert sum(v or 0 for v in (metrics.layer_influence or {}).values()) == pytest.approx(1)
    assert metrics.engine_seconds > (metrics.seconds_per_iteration or 0) > 0
    assert metrics.queue_seconds >= 0
    assert metrics.lpips is not None
    assert metrics.palette_distance is not None
    assert 0 < metrics.lpips < 1
    assert metrics.unavailable == {}


def test_the_picture_says_how_it_was_made(workshop: Workshop, service: JobService, submit: Submit) -> None:
    job = submit(profile="abstract")

    carry_out(job.id, workshop)

    assert Provenance.read(service.image(job.id)) == Provenance(
        content=job.content.id,
        styles=(job.styles[0].id,),
        options=job.options.model_dump(mode="json"),
        network="strata-small",
        weights="seeded-v1",
    )


def test_a_picture_asked_for_in_sixteen_bits_has_them(workshop: Workshop, service: JobService, submit: Submit) -> None:
    job = submit(output_format="png16")

    carry_out(job.id, workshop)

    assert service.image(job.id)[24] == 16  # the bit depth of a PNG's header


def test_a_job_that_cannot_fit_fails_at_once_with_the_size_that_would(
    workshop: Workshop, service: JobService, submit: Submit
) -> None:
    small = Studio(
        device="cpu", weights="seeded", weights_dir=Path(), threads=1, memory_bytes=200_000_000, warm_networks=1
    )
    job = submit(size=2048)

    carry_out(job.id, replace(workshop, studio=small))

    kind, detail = ended_badly(service, job)
    assert kind == "out-of-memory"
    assert "the largest size that fits is" in detail
    assert service.get(job.id).progress.iteration == 0


def test_beyond_its_bound_a_worker_lets_go_of_the_network_used_longest_ago() -> None:
    studio = Studio(device="cpu", weights="seeded", weights_dir=Path(), threads=1, memory_bytes=0, warm_networks=2)
    strata, small = (StyleOptions(network=name, dtype="float32") for name in ("strata", "strata-small"))
    deep = StyleOptions(network="vgg16", layer_weights={"relu1_1": 1.0}, dtype="float32")
    assert [studio.model(o).loaded for o in (strata, small, strata, deep)] == [True, True, False, True]
    assert [studio.model(o).loaded for o in (strata, small)] == [False, True]


def test_a_mask_sends_each_style_to_its_own_region(
    workshop: Workshop, service: JobService, photo: bytes, painting: bytes, quick: Mapping[str, object]
) -> None:
    drawn = Image.new("RGB", (40, 30), "black")
    drawn.paste((255, 255, 255), (0, 0, 20, 30))
    file = io.BytesIO()
    drawn.save(file, "PNG")
    options = {**quick, "content_weight": 0.0}
    styles = [painting, photo]
    masked = service.submit(Submission(photo, styles, options, mask=file.getvalue()))
    plain = service.submit(Submission(photo, styles, options))

    for job in (masked, plain):
        carry_out(job.id, workshop)

    assert masked.mask is not None
    assert service.get(masked.id).status is JobStatus.SUCCEEDED
    assert service.image(masked.id) != service.image(plain.id)
    made = Provenance.read(service.image(masked.id))
    assert made is not None
    assert made.mask == masked.mask.id
    again = service.submit(Submission(photo, styles, options, mask=made.mask))  # by its id, as a rerun sends it
    carry_out(again.id, workshop)
    assert service.image(again.id) == service.image(masked.id)


def test_a_run_begins_with_the_picture_sent_for_it(
    workshop: Workshop, service: JobService, photo: bytes, painting: bytes, quick: Mapping[str, object]
) -> None:
    options = {**quick, "init": "upload", "iterations": 1}
    jobs = [service.submit(Submission(photo, [painting], options, init_image=first)) for first in (photo, painting)]

    for job in jobs:
        carry_out(job.id, workshop)

    own, other = (service.losses(job.id)[0] for job in jobs)
    assert own["content"] == pytest.approx(0, abs=1e-6)  # it is the content itself
    assert other["content"] > 0.01


def test_the_second_job_with_a_network_loads_nothing(
    workshop: Workshop, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [submit(network="strata", iterations=1) for _ in range(2)]

    with caplog.at_level("INFO"):
        for job in jobs:
            carry_out(job.id, workshop)

    told = [line for line in caplog.messages if "first iteration" in line]
    assert [line.rpartition("; ")[2] for line in told] == ["loaded seeded-v1", "loaded nothing"]
    assert all(" s after the claim" in line for line in told)


def test_a_second_job_with_the_same_pictures_does_not_look_at_them_again(workshop: Workshop, submit: Submit) -> None:
    """Nor does one with another balance of layers; one at another size does."""
    known = workshop.studio.targets
    looked = []
    for options in ({"size": 72}, {"size": 72}, {"size": 72, "profile": "abstract"}, {"size": 88}):
        before = known.misses
        carry_out(submit(**options).id, workshop)
        looked.append(known.misses - before)
    assert looked[0] > 0
    assert looked[1:3] == [0, 0]
    assert looked[3] > 0


def test_the_same_job_twice_gives_the_same_bytes(workshop: Workshop, service: JobService, submit: Submit) -> None:
    first, second = submit(init="noise", seed=7), submit(init="noise", seed=7)

    for job in (first, second):
        carry_out(job.id, workshop)

    assert service.image(first.id) == service.image(second.id)


def test_several_styles_are_measured_by_their_share(
    workshop: Workshop, service: JobService, submit: Submit, photo: bytes, painting: bytes
) -> None:
    job = submit(styles=[painting, photo], style_blend=[1.0, 3.0])

    carry_out(job.id, workshop)

    metrics = service.get(job.id).metrics
    assert metrics is not None
    painted, photographed = metrics.style_distance_by_style or (None, None)
    assert painted is not None
    assert photographed is not None
    assert metrics.style_distance == pytest.approx(painted / 4 + photographed * 3 / 4)


def test_a_job_canceled_just_when_its_picture_was_written_keeps_no_picture(
    workshop: Workshop, service: JobService, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = type(workshop.artifacts)
    put = store.put_output

    def put_and_cancel(self: Any, job_id: str, attempt: int, name: str, *rest: Any, **more: Any) -> None:
        put(self, job_id, attempt, name, *rest, **more)
        if name == RESULT:
            service.cancel(job_id)

    monkeypatch.setattr(store, "put_output", put_and_cancel)
    job = submit()
    carry_out(job.id, workshop)

    assert service.get(job.id).status is JobStatus.CANCELED
    with pytest.raises(ArtifactMissing):
        workshop.artifacts.output(job.id, 1, RESULT)


@pytest.mark.parametrize("state", ["processing", "succeeded", "canceled"])
def test_a_delivery_of_a_job_that_is_not_queued_does_nothing(
    workshop: Workshop, service: JobService, submit: Submit, redis: Redis, state: str
) -> None:
    job = submit()
    if state == "canceled":
        service.cancel(job.id)
    else:
        workshop.store.claim(job.id, 30)
    if state == "succeeded":
        workshop.store.finish(job.id, 1, JobStatus.SUCCEEDED)
    before = (service.get(job.id), events(redis, job.id))

    carry_out(job.id, workshop)

    assert (service.get(job.id), events(redis, job.id)) == before


def test_the_peak_of_memory_is_that_of_the_run_and_not_of_all_that_the_worker_holds(
    workshop: Workshop, service: JobService, submit: Submit
) -> None:
    carry_out(submit(size=64).id, workshop)  # loads the network
    small, large = submit(size=64), submit(size=768, iterations=2)
    peaks = []
    for job in (small, large):
        carry_out(job.id, workshop)
        metrics = service.get(job.id).metrics
        assert metrics is not None
        assert metrics.peak_memory_bytes is not None
        peaks.append(metrics.peak_memory_bytes)

    assert 0 <= peaks[0] < resident_bytes() / 4
    assert peaks[1] > peaks[0] + 10_000_000


def test_a_job_whose_record_cannot_be_read_fails_at_its_first_claim(
    workshop: Workshop, submit: Submit, redis: Redis
) -> None:
    damaged, after = submit(), submit()
    redis.hset(f"strata:job:{damaged.id}", "metadata", '{"a":' + "[" * 500 + "]" * 500 + "}")

    assert carry_out_next(workshop) is None
    carried = carry_out_next(workshop)

    assert (carried and carried.record.id) == after.id
    assert redis.hget(f"strata:job:{damaged.id}", "status") == b'"failed"'
    assert b'"internal"' in (redis.hget(f"strata:job:{damaged.id}", "error") or b"")


def test_a_delivery_of_an_unknown_job_does_nothing(workshop: Workshop, redis: Redis) -> None:
    carry_out("no such job", workshop)

    assert redis.keys("*") == []


def test_progress_is_published_at_a_bounded_rate_and_to_the_last(
    workshop: Workshop, submit: Submit, redis: Redis
) -> None:
    job = submit(iterations=200)

    carry_out(job.id, workshop)

    told = [(at, data["iteration"]) for at, kind, data in events(redis, job.id) if kind == "progress"]
    assert (told[0][1], told[-1][1]) == (1, 200)
    assert 3 <= len(told) < 200
    in_between = [at for at, _ in told[:-1]]
    # One may be written late, by up to 250 ms; more often than every 500 ms none is.
    assert all(
        later - earlier >= 500 * apart - 250
        for at, earlier in enumerate(in_between)
        for apart, later in enumerate(in_between[at + 1 :], 1)
    )


def test_a_preview_is_a_small_picture_of_the_run_and_is_announced(
    workshop: Workshop, service: JobService, submit: Submit, redis: Redis
) -> None:
    job = submit(preview_every=2)

    carry_out(job.id, workshop)

    preview = Image.open(io.BytesIO(service.preview(job.id)))
    assert (preview.format, preview.size) == ("JPEG", (64, 43))
    told = [data["iteration"] for _, kind, data in events(redis, job.id) if kind == "preview"]
    assert told
    assert all(iteration % 2 == 0 for iteration in told)


def test_a_job_without_previews_has_none(workshop: Workshop, service: JobService, submit: Submit) -> None:
    job = submit(preview_every=0)

    carry_out(job.id, workshop)

    with pytest.raises(NotReadyYet, match="no preview"):
        service.preview(job.id)


def ended_badly(service: JobService, job: JobRecord) -> tuple[str, str]:
    """(type, detail) of a failed job's error; its picture is not served."""
    record = service.get(job.id)
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    with pytest.raises(NotReadyYet):
        service.image(job.id)
    return record.error.type, record.error.detail


def test_a_run_past_its_deadline_fails_and_says_how_far_it_got(
    workshop: Workshop, service: JobService, submit: Submit
) -> None:
    job = submit(timeout_seconds=1e-6, iterations=50)

    carry_out(job.id, workshop)

    kind, detail = ended_badly(service, job)
    assert kind == "deadline"
    assert detail.startswith("0 of 50 iterations")
    assert service.get(job.id).outcome == "deadline"


def test_a_picture_too_narrow_for_the_network_fails_with_what_to_do(
    workshop: Workshop, service: JobService, submit: Submit, encode: Callable[..., bytes]
) -> None:
    job = submit(content=encode(Image.new("RGB", (600, 16), "red")))

    carry_out(job.id, workshop)

    kind, detail = ended_badly(service, job)
    assert kind == "picture-unusable"
    assert "larger size" in detail


def test_an_input_that_is_gone_fails_the_job(
    workshop: Workshop, service: JobService, submit: Submit, settings: Settings
) -> None:
    job = submit()
    for file in Path(settings.artifacts).rglob("*.png"):
        file.unlink()

    carry_out(job.id, workshop)

    assert ended_badly(service, job)[0] == "input-missing"


def test_missing_parameters_fail_the_job_with_what_to_do(
    workshop: Workshop, service: JobService, submit: Submit, tmp_path: Path
) -> None:
    bare = Studio(device="cpu", weights="pretrained", weights_dir=tmp_path, threads=0, memory_bytes=0, warm_networks=4)
    job = submit(network="vgg19")

    carry_out(job.id, replace(workshop, studio=bare))

    kind, detail = ended_badly(service, job)
    assert kind == "weights-unavailable"
    assert "strata weights fetch" in detail


def test_without_parameters_a_worker_is_not_ready(workshop: Workshop, tmp_path: Path) -> None:
    bare = Studio(device="cpu", weights="pretrained", weights_dir=tmp_path, threads=0, memory_bytes=0, warm_networks=4)

    assert replace(workshop, studio=bare).warm_up() is None


class Unlucky(FolderArtifacts):
    """A folder whose results cannot be written."""

    error: Exception

    def put_output(self, job_id: str, attempt: int, name: str, data: bytes) -> None:
        if name == "result.png":
            raise self.error
        super().put_output(job_id, attempt, name, data)


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (OSError(5, "Input/output error", "/secret/path"), "storage-failed", "Input/output error."),
        (MemoryError(), "out-of-memory", "more memory than there was"),
        (MemoryLimitError(2**33, 2**32, 4096, 2048), "out-of-memory", "the largest size that fits is 2048."),
        (EngineError("a new kind of trouble"), "engine", "A new kind of trouble."),
        (KeyError("/secret/path"), "internal", "the worker's log says what"),
    ],
)
def test_what_goes_wrong_fails_the_job_in_its_own_words_and_gives_no_path_away(
    workshop: Workshop, service: JobService, submit: Submit, settings: Settings, error: Exception, kind: str, told: str
) -> None:
    unlucky = Unlucky(Path(settings.artifacts))
    unlucky.error = error
    job = submit()

    carry_out(job.id, replace(workshop, artifacts=unlucky))

    found, detail = ended_badly(service, job)
    assert found == kind
    assert told in detail
    assert "secret" not in detail


class Interfering(FolderArtifacts):
    """A folder that lets something happen just when the picture is written: the latest moment there is."""

    happening: Callable[[], object]

    def put_output(self, job_id: str, attempt: int, name: str, data: bytes) -> None:
        super().put_output(job_id, attempt, name, data)
        if name == "result.png":
            self.happening()


def test_a_cancel_while_the_picture_is_written_still_counts(
    workshop: Workshop, service: JobService, submit: Submit, settings: Settings
) -> None:
    late = Interfering(Path(settings.artifacts))
    job = submit()
    late.happening = lambda: service.cancel(job.id)

    carry_out(job.id, replace(workshop, artifacts=late))

    assert service.get(job.id).status is JobStatus.CANCELED
    with pytest.raises(NotReadyYet, match="canceled"):
        service.image(job.id)


def test_a_run_that_lost_its_job_leaves_nothing_behind(
    workshop: Workshop, service: JobService, submit: Submit, settings: Settings, redis: Redis
) -> None:
    late = Interfering(Path(settings.artifacts))
    job = submit()
    # What whoever takes over does: the next attempt.
    late.happening = lambda: redis.hset(f"strata:job:{job.id}", "attempt", "2")

    carry_out(job.id, replace(workshop, artifacts=late))

    now = service.get(job.id)
    assert (now.status, now.attempt, now.metrics) == (JobStatus.PROCESSING, 2, None)
    assert list(Path(settings.artifacts).rglob("result.png")) == []


def test_a_job_whose_network_is_not_here_fails_by_name_and_nothing_else_draws(
    workshop: Workshop, service: JobService, submit: Submit, tmp_path: Path
) -> None:
    bare = Studio(device="cpu", weights="auto", weights_dir=tmp_path, threads=1, memory_bytes=0, warm_networks=1)
    job = submit(network="vgg16")

    carry_out(job.id, replace(workshop, studio=bare))

    kind, detail = ended_badly(service, job)
    assert kind == "weights-unavailable"
    assert "strata weights fetch vgg16" in detail


def test_a_layer_of_weight_0_asks_nothing_of_the_network(
    workshop: Workshop, service: JobService, submit: Submit, tmp_path: Path
) -> None:
    shipped = Studio(device="cpu", weights="auto", weights_dir=tmp_path, threads=1, memory_bytes=0, warm_networks=1)
    job = submit(network="vgg19", layer_weights={"relu1_1": 1.0, "relu5_2": 0.0}, iterations=1)

    carry_out(job.id, replace(workshop, studio=shipped))

    metrics = service.get(job.id).metrics
    assert metrics is not None
    assert metrics.weights == "vgg19-normalized-v1"
