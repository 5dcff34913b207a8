"""The manifests are what Kubernetes takes, and name nothing that the code does not have."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.app import create_app
from cli.roles import REDIS_DURABLE
from cli.serve import DRAIN_SECONDS
from core.jobs.webhooks import TIMEOUT_SECONDS
from core.settings import Settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
ROLES = ("api", "worker", "courier")
VERSIONS = ("1.31", str(kubernetes_validate.latest_version()))
UNITS = {"Mi": 2**20, "Gi": 2**30}
MEMORY_SHARE = 0.8
BUCKET = {"secretRef": {"name": "strata-s3"}}

Documents = list[dict[str, Any]]


def named(documents: Documents, kind: str, name: str) -> dict[str, Any]:
    """The one that is called so; a generated name ends in a hash."""
    (found,) = (
        each
        for each in documents
        if each["kind"] == kind and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])
    )
    return found


def pods(documents: Documents) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def containers(documents: Documents) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods(documents):
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield name, container


def container(documents: Documents, name: str) -> dict[str, Any]:
    return dict(pods(documents))[name]["containers"][0]


def said(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", ())}


def settings_env() -> dict[str, str]:
    lines = (KUBERNETES / "base" / "settings.env").read_text().split()
    return dict(line.split("=", 1) for line in lines)


def in_a_bucket(documents: Documents) -> bool:
    """As what is read last decides."""
    return BUCKET in container(documents, "worker")["envFrom"][1:]


def in_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_resource(rendered: Documents, version: str) -> None:
    own = [document for document in rendered if document["apiVersion"] != "keda.sh/v1alpha1"]
    assert len(own) >= 11
    for document in own:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_base_is_taken_as_it_stands(base: Documents, version: str) -> None:
    for document in base:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_resource_with_a_mistake_would_not_be_taken(base: Documents) -> None:
    worker = yaml.safe_load(yaml.safe_dump(named(base, "Deployment", "worker")))
    worker["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(worker, VERSIONS[0], strict=True)


def test_every_file_that_is_named_is_there() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        told = yaml.safe_load(path.read_text())
        places = [*told.get("resources", ()), *told.get("components", ())]
        places += [patch["path"] for patch in told.get("patches", ()) if "path" in patch]
        places += [env for each in told.get("configMapGenerator", ()) for env in each.get("envs", ())]
        assert places
        for place in places:
            assert (path.parent / place).exists(), f"{path}: {place}"


def test_every_variable_is_a_setting_and_every_value_one_it_takes(
    base: Documents, walked: Callable[[Any], Iterator[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"STRATA_{name.upper()}" for name in Settings.model_fields}
    used = dict(settings_env())
    for path in KUBERNETES.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            for node in walked(document):
                if isinstance(node.get("name"), str) and isinstance(node.get("value"), str):
                    used[node["name"]] = node["value"]
    assert set(used) <= known, set(used) - known
    assert {"STRATA_ARTIFACTS", "STRATA_DEVICE", "STRATA_THREADS", "STRATA_KEYS_FILE"} <= set(used)
    for name, value in used.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.artifacts == "/artifacts"
    assert settings.drain_seconds == 30


def test_the_roles_are_told_the_settings(rendered: Documents) -> None:
    settings = named(rendered, "ConfigMap", "strata-settings")
    for name in ROLES:
        sources = container(rendered, name)["envFrom"]
        assert sources[0] == {"configMapRef": {"name": settings["metadata"]["name"]}}
        assert sources[1:] == ([BUCKET] if in_a_bucket(rendered) else [])


def test_every_command_is_one_of_the_code(
    base: Documents, understood: Callable[[Any], None], walked: Callable[[Any], Iterator[dict[str, Any]]]
) -> None:
    commands = [each["args"] for _, each in containers(base)]
    commands += [node["exec"]["command"] for document in base for node in walked(document) if "exec" in node]
    assert len(commands) > 8
    for command in commands:
        understood(command)


def test_a_command_that_is_none_would_be_found(understood: Callable[[Any], None]) -> None:
    for command in (["strata", "serve"], ["strata", "api", "--porte", "1"], ["celery", "--app", "worker.none:app"]):
        with pytest.raises((AssertionError, KeyError, FileNotFoundError)):
            understood(command)


def test_probes_and_ports_are_those_the_api_has(base: Documents) -> None:
    api = container(base, "api")
    assert api["ports"] == [{"name": "http", "containerPort": int(api["args"][api["args"].index("--port") + 1])}]
    paths = create_app(Settings()).openapi()["paths"]
    template = named(base, "Deployment", "api")["spec"]["template"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert api[probe]["httpGet"]["path"] in paths
        assert api[probe]["httpGet"]["port"] == "http"
    assert template["metadata"]["annotations"]["prometheus.io/path"] in paths
    assert int(template["metadata"]["annotations"]["prometheus.io/port"]) == api["ports"][0]["containerPort"]
    for name in ("api", "redis"):
        (port,) = named(base, "Service", name)["spec"]["ports"]
        assert port["targetPort"] in [each["name"] for each in container(base, name)["ports"]]
    assert settings_env()["STRATA_REDIS_URL"].startswith("redis://redis:6379")


def test_every_name_that_is_referred_to_exists(rendered: Documents) -> None:
    claims = {each["metadata"]["name"] for each in rendered if each["kind"] == "PersistentVolumeClaim"}
    made_by_hand = {"strata-keys", "strata-s3"}
    for _, pod in pods(rendered):
        volumes = {each["name"]: each for each in pod.get("volumes", ())}
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in claims
            if secret := volume.get("secret"):
                assert secret["secretName"] in made_by_hand
        templates = {
            each["metadata"]["name"]
            for document in rendered
            if document["kind"] == "StatefulSet"
            for each in document["spec"]["volumeClaimTemplates"]
        }
        for each in (*pod.get("initContainers", ()), *pod["containers"]):
            for mount in each["volumeMounts"]:
                assert mount["name"] in volumes.keys() | templates, mount
    labels = {
        name: document["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for document in rendered
        if document["kind"] in ("Deployment", "StatefulSet")
        for name in [document["metadata"]["name"]]
    }
    for document in rendered:
        if document["kind"] == "PodDisruptionBudget":
            assert document["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in labels.values()


def test_pictures_are_in_a_folder_that_all_mount_or_in_a_bucket_and_nobody_mounts_one(rendered: Documents) -> None:
    place = named(rendered, "ConfigMap", "strata-settings")["data"]["STRATA_ARTIFACTS"]
    mounting = [name for name, each in containers(rendered) if place in str(each["volumeMounts"])]
    assert sorted(mounting) == ([] if in_a_bucket(rendered) else sorted(ROLES))
    claims = [each["metadata"]["name"] for each in rendered if each["kind"] == "PersistentVolumeClaim"]
    assert ("artifacts" in claims) is not in_a_bucket(rendered)


def test_nobody_has_more_rights_than_needed(rendered: Documents) -> None:
    for name, pod in pods(rendered):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for name, each in containers(rendered):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"requests", "limits"} <= each["resources"].keys(), name


def test_whoever_is_told_to_end_has_the_time_it_needs(base: Documents) -> None:
    grace = {name: pod["terminationGracePeriodSeconds"] for name, pod in pods(base)}
    drain = float(settings_env()["STRATA_DRAIN_SECONDS"])
    pause = int(container(base, "api")["lifecycle"]["preStop"]["exec"]["command"][1])
    assert grace["worker"] >= drain + 60, "the drain, then one iteration and a checkpoint"
    assert grace["api"] >= pause + DRAIN_SECONDS + 5
    assert grace["courier"] >= TIMEOUT_SECONDS + 10


def test_a_worker_takes_no_more_cores_and_memory_than_it_has(base: Documents) -> None:
    worker = container(base, "worker")
    told, resources = said(worker), worker["resources"]
    assert told["STRATA_THREADS"] == resources["requests"]["cpu"]
    assert int(told["STRATA_MEMORY_BYTES"]) <= MEMORY_SHARE * in_bytes(resources["limits"]["memory"])
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_cluster_whose_runtime_is_a_class_is_told_its_name(tmp_path: Path) -> None:
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed")
    here = Path(os.path.relpath(KUBERNETES, tmp_path))
    overlay = {
        "resources": [str(here / "base")],
        "components": [str(here / "components" / name) for name in ("gpu", "nvidia-runtime")],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run([kubectl, "kustomize", str(tmp_path)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    classes = {name: pod.get("runtimeClassName") for name, pod in pods(list(yaml.safe_load_all(built.stdout)))}
    assert classes == {"api": None, "courier": None, "redis": None, "worker": "nvidia"}


def test_a_worker_on_a_gpu_asks_for_one_and_for_its_memory(rendered: Documents) -> None:
    worker = container(rendered, "worker")
    limits = worker["resources"]["limits"]
    assert ("nvidia.com/gpu" in limits) is ("STRATA_DEVICE" in said(worker))
    if "nvidia.com/gpu" in limits:
        assert said(worker)["STRATA_MEMORY_BYTES"] == "0"
        assert limits["nvidia.com/gpu"] == worker["resources"]["requests"]["nvidia.com/gpu"] == "1"


def test_whoever_scales_workers_is_the_only_one_to_say_how_many(rendered: Documents) -> None:
    worker = named(rendered, "Deployment", "worker")
    scaled = [each for each in rendered if each["kind"] == "ScaledObject"]
    assert ("replicas" in worker["spec"]) is not bool(scaled)
    for each in scaled:
        assert each["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
        assert 1 <= each["spec"]["minReplicaCount"] < each["spec"]["maxReplicaCount"]


def test_the_overlay_of_the_page_is_one(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    page = (KUBERNETES.parents[1] / "docs" / "many-hosts.md").read_text()
    shown = re.search(r"```yaml\n(.*kind: Kustomization.*?)```", page, re.DOTALL)
    assert shown is not None
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(shown[1])
    built = subprocess.run([kubectl, "kustomize", str(mine)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    for document in documents:
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
    assert in_a_bucket(documents)
    assert named(documents, "ConfigMap", "strata-settings")["data"]["STRATA_RESULT_DAYS"] == "30"
    images = {each["image"] for _, each in containers(documents)}
    assert images >= {f"registry.example.org/strata-{role}:0.1.0" for role in ("api", "worker")}


def test_redis_loses_nothing(base: Documents) -> None:
    args = container(base, "redis")["args"]
    given = dict(zip(args[1::2], args[2::2], strict=True))
    durable = dict(zip(REDIS_DURABLE[::2], REDIS_DURABLE[1::2], strict=True))
    assert durable.items() <= given.items()
    most = int(given["--maxmemory"].removesuffix("gb")) * 2**30
    assert 2 * most <= in_bytes(container(base, "redis")["resources"]["limits"]["memory"])
