"""The playground's engine: settings, players, frames, sessions, and the server that guards it."""

from __future__ import annotations

import base64
import json
import threading
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands import typed
from torch import nn

import plie.curve
from plie.errors import InputError
from plie.playground import share, upload
from plie.playground.checks import SettingsError
from plie.playground.frame import SIDE, SMALL, Painter
from plie.playground.history import MOST, History, Measured
from plie.playground.player import Player
from plie.playground.points import Points, pack, unpack
from plie.playground.session import Session
from plie.playground.settings import Settings
from plie.playground.upload import from_csv

SMALL_NET: dict[str, Any] = {
    "hidden": [6],
    "networks": [["relu"]],
    "data": {"name": "xor", "n": 60},
}


def player_of(**changed: Any) -> Player:
    return Player(Settings.of({**SMALL_NET, **changed}))


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ([], "settings", "an object of names"),
        ({"lrr": 1}, "lrr", "did you mean 'lr'"),
        ({"lr": "fast"}, "lr", "lr is a number from 1e-06 to 100, not 'fast'"),
        ({"lr": True}, "lr", "not True"),
        ({"lr": float("nan")}, "lr", "not nan"),
        ({"lr": 0}, "lr", "not 0"),
        ({"batch": 2.5}, "batch", "whole number"),
        ({"hidden": [8] * 9}, "hidden", "a list of 0 to 8"),
        ({"hidden": [8, 65], "networks": [["relu"] * 2]}, "hidden.1", "from 1 to 64, not 65"),
        ({"hidden": [8]}, "networks.0", "2 activations given for 1 hidden layers"),
        ({"networks": [["relu", "relu"]] * 5}, "networks", "a list of 1 to 4"),
        ({"networks": [["relu", 3]]}, "networks.0.1", "a text"),
        ({"networks": [["relu", "x" * 301]]}, "networks.0.1", "at most 300"),
        ({"optimizer": "adm"}, "optimizer", "did you mean 'adam'"),
        ({"test": 1}, "test", "from 0.05 to 0.9"),
        ({"data": "xor"}, "data", "an object"),
        ({"data": {"name": "wave"}}, "data", "unknown data set 'wave'"),
        ({"data": {"name": "xor", "n": 10**9}}, "n", "from 10 to 2000"),
        ({"data": {"name": "xor", "classes": 3}}, "data", "two classes"),
        ({"data": {"name": "xor", "size": 3}}, "data", "unknown setting of 'xor'"),
        ({"data": {"name": "points", "points": "%"}}, "data", "cannot be read"),
        ({"data": {"name": "points", "points": "AAAA"}}, "data", "no whole number"),
        ({"data": {"name": "points", "points": "AAAAAAk="}}, "data", "classes 0 to 7, not 9"),
        ({"data": {"name": "points", "points": "AAAAAAA=" * 2001}}, "data", "read"),
    ],
)
def test_settings_are_refused_with_their_field(given: Any, field: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says.replace("(", r"\(")) as refused:
        Settings.of(given)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sliu", "did you mean 'silu'"),
        ("softmax", "whole vectors"),
        ("__import__('os').system('true') + x", "."),
        ("x.real", "."),
        ("(lambda: x)()", "."),
        ("9**9**9**9*x", "."),
        ("", "needs an activation"),
    ],
)
def test_a_text_that_is_no_activation_is_refused_in_one_sentence(text: str, says: str) -> None:
    settings = Settings.of({"networks": [["relu", text]]})
    with pytest.raises(SettingsError, match=says) as refused:
        settings.activations()
    assert refused.value.field == "networks.0.1"
    assert "\n" not in str(refused.value)


def test_settings_read_back_what_they_tell() -> None:
    drawn = pack(torch.rand(12, 2), torch.arange(12) % 2)
    for data in (
        {"name": "spirals", "n": 90, "noise": 0.1, "classes": 4},
        {"name": "points", "points": drawn},
    ):
        settings = Settings.of(
            {"data": data, "hidden": [3], "networks": [["tanh"], ["x*x"]], "eps": 1}
        )
        assert Settings.of(json.loads(json.dumps(settings.as_json()))) == settings


# --- points -------------------------------------------------------------------------------------


def test_points_are_packed_to_a_ten_thousandth() -> None:
    features = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * 12 - 6
    labels = torch.arange(50) % 8
    back, same = unpack(pack(features, labels))
    assert torch.equal(same, labels)
    assert (back - features).abs().max() <= 6 / 65535 * 1.01


def test_drawn_points_need_two_classes() -> None:
    text = pack(torch.rand(12, 2), torch.zeros(12))
    with pytest.raises(
        InputError, match="at least 10 points of two classes are needed; there are 12 of 1"
    ):
        Points("points", points=text).dataset()


def test_classes_that_nobody_drew_get_no_logit() -> None:
    text = pack(torch.rand(12, 2), torch.tensor([2, 5]).repeat(6))
    drawn = Points("points", points=text).dataset()
    assert drawn.labels.unique().tolist() == [0, 1]
    assert drawn.class_names == ("2", "5")


def test_a_csv_becomes_points_of_two_standardised_columns() -> None:
    rows = [(i, i * i, 7 - i, "ab"[i % 2]) for i in range(20)]
    text = "\n".join(["p,q,r,kind", *(",".join(map(str, row)) for row in rows)])
    found = from_csv(text, "f.csv", ["r", "p"], "kind")
    features, labels = unpack(found["data"]["points"])
    column = np.array([row[2] for row in rows], dtype=float)
    assert features[:, 0].numpy() == pytest.approx(
        (column - column.mean()) / column.std(ddof=1), abs=2e-4
    )
    assert labels.tolist() == [0, 1] * 10
    assert found["data"]["names"] == ["r", "p"]
    assert found["columns"] == ["p", "q", "r"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a header and three columns"),
        ("a,b\n1,2\n", "needs a header and three columns"),
        ("a,b,kind\n1,u,x\n2,v,y\n", "two different columns of numbers among a"),
        (
            "a,b,kind\n" + "".join(f"{i},{i * i % 7},c{i}\n" for i in range(9)),
            "9 classes; at most 8",
        ),
        ("a,b,kind\n1,inf,x\n2,3,y\n", "two different columns of numbers among a"),
        ("1,2,3\n4,5,6\n", "no header"),
        ("a,a,kind\n1,2,x\n", "two columns named 'a'"),
        ("a,b,kind\n1,2,x,9\n", "row 1 has 4 values for 3 columns"),
        ("a,b,kind\n", "has no rows"),
        ("a,b,kind\n1,2,x\n2,1,x\n", "fewer than two classes"),
        (",".join(f"c{i}" for i in range(60_000)), "60000 columns; at most 200"),
        ('a,b,kind\n1,2,"' + "x" * 200_000, "not a readable CSV file"),
        ("x" * (upload.UPLOAD + 1), "1 MiB"),
    ],
)
def test_a_csv_that_cannot_be_shown_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        from_csv(text, "f.csv")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: "\n\n" + text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", ";").replace(".", ","),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("length", '"length"'),
        lambda text: text + "?,1,a\n1,,b\n1,NA,b\n1,1,\n1,1\n",
    ],
)
def test_a_csv_of_another_kind_holds_the_same_points(change: Any) -> None:
    rows = [f"{i / 4},{i * i},{'ab'[i % 2]}\n" for i in range(20)]
    text = "length,width,kind\n" + "".join(rows)
    plain, other = from_csv(text), from_csv(change(text))
    assert other["columns"] == ["length", "width"]
    assert other["data"] == plain["data"]
    assert other["kept"] == 20


def test_columns_that_nobody_chose_may_hold_anything() -> None:
    rows = [f"person {i},{'ab'[i % 2]},{i},{i % 7},{i / 3 or '?'}\n" for i in range(300)]
    found = from_csv("name,kind,a,b,\n" + "".join(rows), "f.csv", ["a", "b"])
    assert found["target"] == "kind"  # the last text that has few values
    assert found["columns"] == ["a", "b", "column 5"]
    assert (found["rows"], found["kept"]) == (300, 300)


def test_a_large_csv_is_thinned() -> None:
    text = "a,b,kind\n" + "".join(f"{i},{i % 17},{i % 2}\n" for i in range(2500))
    found = from_csv(text)
    assert (found["rows"], found["kept"]) == (2500, 2000)


# --- players ------------------------------------------------------------------------------------


def test_xor_is_solved_by_relu_and_not_by_identity() -> None:
    player = Player(Settings.of({"networks": [["relu"] * 2, ["identity"] * 2]}))
    player.train(600)
    right = []
    for network in player.networks:
        said = network.model(player.held.features).argmax(1)
        right.append(float((said == player.held.labels).double().mean()))
    assert right[0] >= 0.95
    assert 0.25 < right[1] < 0.75  # three of the four blobs would be 0.75


def test_a_training_is_the_same_however_it_is_cut() -> None:
    whole, cut = player_of(), player_of()
    whole.train(30)
    for _ in range(10):
        cut.train(3)
    first, second = (p.networks[0].model.state_dict() for p in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    player_of(eps=0.1).train(3)
    assert torch.equal(before, torch.get_rng_state())


def test_another_activation_keeps_the_weights_and_what_adam_has_gathered() -> None:
    player = player_of()
    player.train(20)
    weights = player.networks[0].linear[0].weight.detach().clone()
    moments = (
        player.networks[0].optimizer.state[player.networks[0].linear[0].weight]["exp_avg"].clone()
    )
    assert not player.change(Settings.of({**SMALL_NET, "networks": [["silu"]], "lr": 0.02}))
    network = player.networks[0]
    assert torch.equal(network.linear[0].weight, weights)
    assert torch.equal(network.optimizer.state[network.linear[0].weight]["exp_avg"], moments)
    assert network.optimizer.param_groups[0]["lr"] == 0.02
    x = torch.randn(5, 2)
    by_hand = network.linear[1](nn.functional.silu(network.linear[0](x)))
    torch.testing.assert_close(network.model(x), by_hand)
    assert player.altered == [20]


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"hidden": [7]},
        {"data": {"name": "moons"}},
        {"test": 0.5},
        {"init": "gain"},
        {"networks": [["relu"], ["tanh"]]},
    ],
)
def test_other_weights_begin_anew(changed: dict[str, Any]) -> None:
    player = player_of()
    player.train(3)
    assert player.change(Settings.of({**SMALL_NET, **changed}))
    assert player.step == 0
    assert player.settings == Settings.of({**SMALL_NET, **changed})


def test_a_refused_change_leaves_the_player_as_it_was() -> None:
    player = player_of()
    player.train(3)
    model = player.networks[0].model
    with pytest.raises(SettingsError):
        player.change(Settings.of({**SMALL_NET, "networks": [["sliu"]]}))
    assert player.networks[0].model is model
    assert player.settings == Settings.of(SMALL_NET)
    player.train(1)
    assert player.step == 4


def test_l1_pulls_weights_to_zero() -> None:
    sums = []
    for strength in (0.0, 0.05):
        player = player_of(regularisation="l1", strength=strength)
        player.train(200)
        sums.append(
            sum(float(layer.weight.detach().abs().sum()) for layer in player.networks[0].linear)
        )
    assert sums[1] < 0.7 * sums[0]


def test_the_history_stays_short_and_keeps_its_ends() -> None:
    history = History(1, 1)
    for step in range(5 * MOST):
        history.add(step, [Measured((float(step), 0.0), (0.0, 0.0), (0.0,))])
    kept = history.since(0)
    assert len(kept["step"]) <= MOST
    assert kept["step"][0] == 0
    assert kept["step"][-1] > 4.9 * MOST
    assert kept["step"] == kept["networks"][0]["loss"][0]
    assert history.thinned


# --- frames -------------------------------------------------------------------------------------


def read(frame: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(frame[:4], "little")
    return json.loads(frame[4 : 4 + size]), frame[4 + size :]


def part(body: bytes, place: list[int], kind: Any) -> np.ndarray:
    return np.frombuffer(body[place[0] : place[0] + place[1]], kind)


def test_a_frame_shows_the_network_over_the_plane() -> None:
    player = player_of()
    player.train(100)
    header, body = read(Painter(player).frame())
    told = header["networks"][0]
    model, (left, right, bottom, top) = player.networks[0].model, player.extent
    row, column = 5, 40
    x = left + (right - left) * (column + 0.5) / SIDE
    y = top - (top - bottom) * (row + 0.5) / SIDE
    cell = part(body, told["grid"], np.uint8).reshape(SIDE, SIDE, 2)[row, column]
    probability = model.predict_proba(torch.tensor([[x, y]]))[0, 1]
    assert cell[0] == 1
    assert abs(cell[1] / 255 - float(probability)) <= 0.6 / 255
    small = part(body, told["units"][0], np.int8).reshape(6, SMALL, SMALL)
    assert small.max() == 127 or small.min() == -127
    weights = part(body, told["weights"][0], np.int8).reshape(6, 2) / 127 * told["scale"][0]
    assert weights == pytest.approx(
        player.networks[0].linear[0].weight.detach().numpy(), abs=told["scale"][0] / 250
    )


def test_a_frame_of_many_classes_names_the_likeliest() -> None:
    player = player_of(data={"name": "blobs", "n": 90, "classes": 5})
    player.train(200)
    header, body = read(Painter(player).frame())
    cells = part(body, header["networks"][0]["grid"], np.uint8).reshape(-1, 2)
    assert set(np.unique(cells[:, 0])) <= set(range(5))
    assert cells[:, 1].min() >= 255 // 5 - 1


def test_planted_dead_and_saturated_units_are_marked() -> None:
    player = player_of(hidden=[6, 6], networks=[["relu", "tanh"]])
    with torch.no_grad():
        player.networks[0].linear[0].bias.fill_(9.0)  # the others are awake everywhere
        player.networks[0].linear[0].bias[2] = -100.0
        player.networks[0].linear[1].weight.mul_(0.01)
        player.networks[0].linear[1].bias[4] = 8.0
        player.networks[0].linear[1].weight[4] = 0.0
    header, _ = read(Painter(player).frame())
    told = header["networks"][0]
    assert told["dead"][0] == [2]
    assert told["saturated"] == [[], [4]]
    assert sum(told["histogram"][0]["counts"]) == 6 * len(player.points)


def test_a_network_that_diverged_says_so_in_json_that_can_be_read() -> None:
    player = player_of(optimizer="sgd", lr=100.0, networks=[["x**2"]])
    player.train(50)
    header, _ = read(Painter(player).frame())
    assert header["networks"][0]["diverged"]
    assert header["networks"][0]["loss"][0] is None


def test_only_new_rows_of_the_history_are_sent() -> None:
    player = player_of()
    painter = Painter(player)
    seen = []
    for _ in range(3):
        player.train(2)
        header, _ = read(painter.frame())
        seen.append((header["from"], header["history"]["step"]))
    assert seen == [(0, [2]), (1, [4]), (2, [6])]


# --- what leaves it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"hidden": [], "networks": [[]]},
        {"hidden": [5, 4], "networks": [["prelu", "x*tanh(exp(x))"], ["elu:alpha=2", "sin"]]},
        {"init": "gain", "networks": [["gelu"]], "optimizer": "adamw"},
        {"optimizer": "sgd", "lr": 0.3, "regularisation": "l2", "strength": 0.01, "batch": 7},
        {"regularisation": "l1", "strength": 0.01},
        {"eps": 0.2},
        {"eps": 0.2, "attack": "pgd", "norm": "l2"},
        {"data": {"name": "spirals", "n": 40, "noise": 0.05, "seed": 3, "classes": 3}},
        {
            "data": {
                "name": "points",
                "points": pack(torch.eye(2).repeat(10, 1), torch.arange(20) % 2),
            }
        },
    ],
)
def test_the_code_makes_the_same_weights(changed: dict[str, Any], capsys: Any) -> None:
    player = player_of(**changed)
    player.train(23)
    with torch.random.fork_rng():
        made: dict[str, Any] = {}
        for piece in _pieces(share.code(player)):
            exec(compile(piece, "code", "exec"), made)  # what the page hands out is run as it is
            if "model" in made:
                made.setdefault("models", []).append(made.pop("model"))
    # torch's own functions, where the code has them, differ from ours in the last digit
    exact = not set(sum(player.settings.networks, ())) & {"gelu", "prelu", "elu:alpha=2"}
    for network, again in zip(player.networks, made["models"], strict=True):
        ours, theirs = network.model.state_dict(), again.state_dict()
        for mine, other in zip(ours.values(), theirs.values(), strict=True):
            if exact:
                assert torch.equal(mine, other)
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert capsys.readouterr().out.count("test accuracy") == len(player.networks)


def _pieces(code: str) -> list[str]:
    first, *rest = code.split("# --- ")
    return [first, *("# --- " + each for each in rest)]


def test_the_code_says_that_settings_were_changed() -> None:
    player = player_of()
    player.train(5)
    player.change(Settings.of({**SMALL_NET, "networks": [["tanh"]]}))
    assert "changed after updates 5" in share.code(player)


def test_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    player = player_of(networks=[["relu"], ["tanh"]], regularisation="l2")
    found = share.study(player)
    for name, text in found["files"].items():
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    words = found["command"].removeprefix("plie ").split()
    code, _, errors = typed(capsys, *words, "--epochs", "1", "--seeds", "2", "--quiet")
    assert code == 0, errors


def test_a_study_takes_the_adversary_and_a_formula_along() -> None:
    player = player_of(networks=[["x*tanh(x)"]], eps=0.1, attack="pgd", norm="l2")
    words = yaml.safe_load(share.study(player)["text"])
    assert words["adversary"] == "pgd-7:eps=0.1,norm=l2"
    assert words["act"] == ["x*tanh(x)"]


def test_mixed_networks_are_left_out_of_a_study_and_named() -> None:
    player = player_of(hidden=[4, 4], networks=[["relu", "tanh"], ["silu", "silu"]])
    found = share.study(player)
    assert yaml.safe_load(found["text"])["act"] == ["silu"]
    assert found["note"].startswith("1 network")


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_is_a_file_of_its_kind(form: str, start: bytes) -> None:
    player = player_of()
    raw = base64.b64decode(share.Snapshot.of(player, 0).figure(form)["base64"])
    assert raw.startswith(start)
    if form == "svg":
        ET.fromstring(raw)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_probe_stays_in_its_ball_and_lowers_the_probability(norm: str) -> None:
    player = player_of()
    player.train(300)
    found = share.probe(player, 0, [0.8, 0.9], 0.3, norm)
    path = np.array(found["path"])
    moved = path - path[0]
    sizes = np.abs(moved).max(1) if norm == "linf" else np.hypot(*moved.T)
    assert sizes.max() <= 0.3 * 1.001
    label = found["class"][0]
    assert found["after"][label] < found["before"][label]


def test_a_probe_without_a_radius_stays_where_it_is() -> None:
    assert len(share.probe(player_of(), 0, [0.0, 0.0], 0.0, "linf")["path"]) == 1


# --- sessions -----------------------------------------------------------------------------------


class Page:
    """What a page would get."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.got: list[Any] = []
        self.session = Session(self._take, pool)

    def _take(self, what: bytes | str) -> None:
        self.got.append(json.loads(what) if isinstance(what, str) else read(what)[0])

    def say(self, **message: Any) -> None:
        self.session.take(json.dumps(message))

    def until(self, kind: str, seconds: float = 20) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for i, each in enumerate(self.got):
                if each.get("kind", "frame") == kind:
                    del self.got[: i + 1]
                    return each
            self.session.turn(0.005)
            time.sleep(0.002)
        raise AssertionError(f"no {kind} came, but {self.got}")


@pytest.fixture
def page() -> Any:
    with ThreadPoolExecutor(1) as pool:
        page = Page(pool)
        page.say(do="settings", settings=SMALL_NET)
        page.until("settings")
        yield page


def test_a_session_trains_steps_pauses_and_resets(page: Page) -> None:
    page.say(do="seen")
    assert page.until("frame")["step"] == 0
    page.say(do="step")
    page.say(do="seen")
    frame = page.until("frame")
    assert (frame["step"], frame["playing"]) == (1, False)
    page.say(do="play")
    page.say(do="seen")
    assert page.until("frame")["playing"]
    page.say(do="pause")
    page.say(do="reset")
    assert page.until("settings")["restarted"]
    page.say(do="seen")
    assert page.until("frame")["step"] == 0


def test_frames_come_only_when_they_are_asked_for(page: Page) -> None:
    page.say(do="play")
    for _ in range(50):
        page.session.turn(0.002)
    assert page.got == []
    assert page.session.painter is not None
    assert page.session.painter.player.step > 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "1e999",
        '{"do":1}',
        '{"do":"fly"}',
        '{"do":"settings","settings":7}',
        '{"do":"probe"}',
        '{"do":"probe","x":[1]}',
        '{"do":"probe","x":["a",1]}',
        '{"do":"probe","x":[NaN,1]}',
        '{"do":"probe","x":[0,0],"network":3}',
        '{"do":"speed","rate":-1}',
        '{"do":"csv"}',
        '{"do":"csv","text":"a"}',
        '{"do":"csv","text":"a,b,c","columns":3}',
        '{"do":"figure","format":"exe"}',
        '{"do":"step","updates":1e9}',
        "[" * 100_000,
        "\x00",
        '{"do":"settings","settings":{"networks":[["\\ud800"]],"hidden":[1]}}',
    ],
)
def test_whatever_is_said_the_session_goes_on(page: Page, text: str) -> None:
    page.session.take(text)
    error = page.until("error")
    assert "\n" not in error["message"]
    page.say(do="step")
    page.say(do="seen")
    assert page.until("frame")["step"] == 1


def test_before_settings_there_is_a_sentence() -> None:
    with ThreadPoolExecutor(1) as pool:
        page = Page(pool)
        page.say(do="play")
        page.say(do="step")
        assert page.until("error")["message"] == "settings come first"


def test_an_activation_is_changed_in_training(page: Page) -> None:
    page.say(do="play")
    page.say(do="settings", settings={**SMALL_NET, "networks": [["x*sigmoid(3*x)"]]})
    told = page.until("settings")
    assert not told["restarted"]
    assert told["curves"]["x*sigmoid(3*x)"]["f"]
    page.say(do="seen")
    assert page.until("frame")["step"] > 0
    page.say(do="settings", settings={**SMALL_NET, "networks": [["x*sigmoi(x)"]]})
    refused = page.until("error")
    assert refused["field"] == "networks.0.0"
    assert "sigmoid" in refused["message"]


def test_a_formula_is_checked_as_it_is_typed(page: Page) -> None:
    page.say(do="check", text="x*tanh(x)")
    assert page.until("check")["ok"]
    page.say(do="check", text="x*tanh(")
    found = page.until("check")
    assert not found["ok"]
    assert "never closed" in found["message"]


def test_a_speed_is_kept(page: Page) -> None:
    page.say(do="speed", rate=100)
    page.say(do="play")
    start = time.monotonic()
    while time.monotonic() - start < 0.5:
        page.session.turn(0.002)
        time.sleep(0.001)
    assert page.session.painter is not None
    assert 20 <= page.session.painter.player.step <= 60


def test_a_page_that_nobody_touches_pauses(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plie.playground.session.UNATTENDED", 0.05)
    page.say(do="play")
    assert "without a touch" in page.until("paused")["message"]
    assert not page.session.playing


def test_figures_code_studies_and_files_are_answered(page: Page) -> None:
    for what in ("figure", "code", "study"):
        page.say(do=what)
        page.until(what)
    page.say(do="dance", dark=True)
    assert page.until("dance")["svg"].startswith("<svg")
    page.say(do="csv", name="f.csv", text="a,b,kind\n" + "1,2,x\n2,1,y\n" * 10)
    assert page.until("csv")["data"]["name"] == "points"


def test_presets_can_be_made() -> None:
    from plie.playground.presets import PRESETS

    for preset in PRESETS:
        Player(Settings.of(preset["settings"])).train(2)


def test_a_dance_has_four_dancers_and_no_derivative_nobody_can_read() -> None:
    many = Settings.of({"hidden": [2] * 5, "networks": [["relu", "tanh", "x**2", "elu", "silu"]]})
    names = share.dance(many)["names"]
    assert (len(names), names[0], names[3]) == (4, "ReLU", "ELU")
    assert share.dance(Settings.of({"hidden": [], "networks": [[]]}))["names"] == ["Identity"]
    start = time.monotonic()
    long = "*".join(f"sin({i}*x)" for i in range(12))
    assert "<svg" in share.dance(Settings.of({"hidden": [2], "networks": [[long]]}))["svg"]
    assert time.monotonic() - start < 5


def test_a_formula_is_prepared_on_another_thread_only(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bool] = []
    here = threading.current_thread()
    real = plie.curve.curve

    def told(*given: Any) -> Any:
        drawn.append(threading.current_thread() is here)
        return real(*given)

    monkeypatch.setattr("plie.curve.curve", told)
    page.say(do="settings", settings={**SMALL_NET, "networks": [["x*tanh(7*x)"]]})
    page.until("settings")
    assert drawn == [False]
