"""The benchmarks run as a user runs them, and write what they say they write."""

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import classification

ROOT = Path(__file__).parents[2]

needs_peers = pytest.mark.skipif(
    not all(importlib.util.find_spec(peer) for peer in ("learn2learn", "easyfsl")),
    reason="the peers are not installed: pip install learn2learn easyfsl",
)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[dict[str, Any], str]]:
    """Runs a benchmark in this process, where what it imports is imported already."""

    def run(name: str, *arguments: str) -> tuple[dict[str, Any], str]:
        file = tmp_path / f"{name}.json"
        importlib.import_module(f"benchmarks.{name}").main(["--quick", "--json", str(file), *arguments])
        text = file.read_text()
        assert str(ROOT) not in text  # results are for everybody: no paths of this machine
        return json.loads(text), capsys.readouterr().out

    return run


def check_provenance(results: dict[str, Any]) -> None:
    found = results["provenance"]
    assert {"python", "torch", "numpy", "learn2learn"} <= set(found["versions"])
    assert {"commit", "dirty", "date"} <= set(found)
    assert found["device"]["name"]
    assert found["device"]["threads"] == 1


def check_figures(part: dict[str, Any]) -> None:
    for facts in part["contestants"].values():
        assert 0 < facts["min_s"] <= facts["median_s"] <= facts["max_s"]
        assert facts["items_per_s"] == pytest.approx(facts["items"] / facts["median_s"])
    for compared in part["ratios"].values():
        assert 0 < compared["min"] <= compared["median"] <= compared["max"]


@pytest.mark.slow
@needs_peers
def test_evaluation_is_equal_either_way(run: Callable) -> None:
    results, printed = run("evaluation", "--episodes", "6", "--rounds", "2")
    check_provenance(results)
    assert results["quick"]
    assert [case["objective"] for case in results["cases"]] == ["Plain", "SLA"]
    for case in results["cases"]:
        check_figures(case)
        assert case["equal"]["differing"] == 0
        assert case["equal"]["compared"] == 3  # one episode in the warm-up, one in each round
        assert case["backbone"] in printed
    for shared in results["sharing"]:
        check_figures(shared)
        assert set(shared["ratios"]) == {"one by one / together", "ten times / together"}
    assert "with 60 episodes instead of 6" in printed
    plain, augmented = results["cases"]
    assert plain["learn2learn_agreement"] == 1
    assert set(plain["ratios"]) == {"cached / per episode", "cached / learn2learn"}
    assert set(augmented["accuracy"]) == {"single", "aggregated"}


@pytest.mark.slow
@needs_peers
def test_sampling_names_everybody(run: Callable) -> None:
    results, printed = run("sampling", "--rounds", "1")
    check_provenance(results)
    assert [stage["stage"] for stage in results["stages"]] == ["index only", "gathered", "normalised"]
    for stage in results["stages"]:
        check_figures(stage)
        assert {"easyfsl", "learn2learn", "learn2learn, fused"} <= set(stage["contestants"])
        assert all(name in printed for name in stage["contestants"])


@pytest.mark.slow
@needs_peers
def test_pipeline_feeds_a_network(run: Callable) -> None:
    results, printed = run("pipeline", "--rounds", "1", "--workers", "1")
    check_provenance(results)
    assert [stage["stage"] for stage in results["stages"]] == ["alone", "feeding ResNet-12"]
    for stage in results["stages"]:
        check_figures(stage)
        assert set(stage["contestants"]) == {"ours", "learn2learn", "easyfsl"}
        assert set(stage["ratios"]) == {"ours / learn2learn", "ours / easyfsl"}
        assert all(name in printed for name in stage["contestants"])
    for facts in results["parts_of_a_step"]["heads"].values():
        assert min(facts["median_s"].values()) > 0
        assert 0 < facts["not_backbone"]["min"] <= facts["not_backbone"]["median"] <= facts["not_backbone"]["max"] < 1


@pytest.mark.slow
def test_classification_takes_turns(run: Callable) -> None:
    chosen = ("plain loop", "ours")
    small = ("--device", "cpu", "--rounds", "2", "--steps", "1", "--warm_ups", "1", "--workers", "0")
    results, printed = run("classification", *small, "--contestants", *chosen)
    check_provenance(results)
    (case,) = results["cases"]
    check_figures(case)
    assert tuple(case["contestants"]) == chosen
    assert all(facts["items"] == results["step"]["images"] for facts in case["contestants"].values())
    for kind in ("ratios", "ratios_of_processor_time"):
        assert set(case[kind]) == {"ours / plain loop"}
    assert all(facts["cpu_median_s"] > 0 for facts in case["contestants"].values())
    (parts,) = case["parts_of_a_step"].values()
    assert min(parts["median_s"].values()) > 0
    assert 0 < parts["not_backbone"]["median"] < 1
    assert all(name in printed for name in chosen)


@pytest.mark.slow
def test_streaming_feeds_a_network_from_files(run: Callable) -> None:
    results, printed = run("streaming", "--rounds", "1", "--batches", "2", "--fed_batches", "1", "--workers", "0", "1")
    check_provenance(results)
    assert results["images"]["files"] == 40
    found = [(stage["stage"], stage["workers"]) for stage in results["stages"]]
    assert found == [(stage, workers) for stage in ("alone", "feeding ResNet-18") for workers in (0, 1)]
    for stage in results["stages"]:
        check_figures(stage)
        assert all(0 <= facts["waiting"]["median"] <= 1 for facts in stage["contestants"].values())
        assert all(name in printed for name in stage["contestants"])


def test_the_joint_layer_is_measured(run: Callable) -> None:
    results, printed = run("joint_layer", "--rounds", "1")
    check_provenance(results)
    assert results["parameters"]["SLA"] == 17 * 500 * 4
    for stage in results["stages"]:
        check_figures(stage)
        assert list(stage["contestants"]) == ["baseline", "SLA", "SLA+SD"]
        assert stage["stage"] in printed


def test_a_contestant_that_ends_early_says_why() -> None:
    with pytest.raises(SystemExit, match=r"(?s)^backbone alone ended early:.*UserError: .*there are no images"):
        classification.main(["--device=cpu", "--batch_size=0", "--depth=8", "--contestants", "backbone alone"])


@pytest.mark.parametrize("name", ["evaluation", "sampling", "pipeline", "classification", "joint_layer", "streaming"])
def test_stored_results_are_whole_and_nobodys_in_particular(name: str) -> None:
    text = (ROOT / "benchmarks" / "results" / f"{name}_cpu.json").read_text()
    results = json.loads(text)
    assert results["benchmark"] == name
    assert not results["quick"]
    assert "/home" not in text
    assert str(ROOT) not in text
    for part in results.get("cases", results.get("stages")):
        check_figures(part)


@pytest.mark.slow
def test_logistic_agrees_with_scikit_learn(run: Callable) -> None:
    results, printed = run("logistic", "--rounds", "1")
    found = results["provenance"]
    assert {"python", "torch", "scikit-learn"} <= set(found["versions"])
    assert [cell["episodes"] for cell in results["cells"]] == [1, 8]
    for cell in results["cells"]:
        check_figures(cell)
        differences = cell["largest_difference_of_probabilities"]
        assert differences["scikit-learn"] < 1e-2  # its defaults stop early
    assert results["cells"][0]["largest_difference_of_probabilities"]["scikit-learn, to our precision"] < 1e-6
    assert "5-way 5-shot x 8" in printed
