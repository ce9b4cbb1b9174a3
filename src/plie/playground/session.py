"""One page's side in the process that trains: what it asks for, and what it is answered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import torch

from plie.errors import InputError, PlieError, unknown
from plie.playground import share
from plie.playground.aside import Aside
from plie.playground.checks import SettingsError, naming, one_of, real, said, whole
from plie.playground.frame import Painter, curves, warm
from plie.playground.player import Player
from plie.playground.settings import BALLS, LONGEST, Settings, scalar
from plie.playground.upload import UPLOAD, from_csv

log = logging.getLogger(__name__)

RATE = 32.0  # frames a second, at most: of 30, a few may come late
UNATTENDED = 30 * 60.0  # seconds of training after which a page that nobody touches pauses
FASTEST = 1e6  # updates a second that may be asked for
GLANCE = 0.02  # seconds between two looks at what is made aside

Send = Callable[[bytes | str], None]


class Session:
    """A page.

    Args:
        send: takes text or a frame for the page; called on the thread that calls `turn`.
        builder: makes players elsewhere, so that a formula that takes a second to compile keeps
            nobody else waiting.
    """

    def __init__(self, send: Send, builder: Executor) -> None:
        self._send, self._builder = send, builder
        self.painter: Painter | None = None
        self.playing = False
        self._wanted, self._stale = False, False  # a frame, by the page; and whether there is news
        self._due, self._looked = 0.0, 0.0  # when the next frame may be drawn
        self._touched = self._turned = time.monotonic()
        self._limit: float | None = None
        self._credit = 0.0  # updates that a limited speed allows by now
        self._owed = 0  # updates that were asked for by number
        self._speed, self._counted = 0.0, (time.monotonic(), 0)
        self._aside = Aside(builder)

    # --- messages -------------------------------------------------------------------------------

    def take(self, text: str) -> None:
        """Do what a message asks for; whatever is wrong with it becomes a sentence."""
        what = None
        try:
            message = json.loads(text)
            if not isinstance(message, dict):
                raise InputError("a message is an object that says what to do")
            what = message.get("do")
            if not isinstance(what, str) or what not in _DEEDS:
                raise unknown("message", said(what).strip("'"), _DEEDS)
            if what != "seen":
                self._touched = time.monotonic()
            _DEEDS[what](self, message)
        except (ValueError, RecursionError) as error:  # PlieError is one, and broken JSON
            self._refuse(error, what)
        except Exception:
            log.exception("a message could not be answered")
            self.tell(kind="error", of=what, message="this could not be done; nothing has changed")

    def close(self) -> None:
        """Nobody waits any more for what is made aside."""
        self._aside.cancel()

    def tell(self, **message: Any) -> None:
        """Send a message."""
        self._send(json.dumps(message, allow_nan=False, separators=(",", ":")))

    def _refuse(self, error: BaseException, what: object) -> None:
        known = isinstance(error, PlieError)
        sentence = str(error) if known else "a message that cannot be read; nothing has changed"
        of = what if what in tuple(_DEEDS) else None
        self.tell(kind="error", of=of, message=sentence, field=getattr(error, "field", None))

    def _settings(self, message: dict[str, Any]) -> None:
        asked = Settings.of(message.get("settings", {}))
        self._aside.do("settings", lambda: _warm(asked), lambda _: self._apply(asked))

    def _apply(self, asked: Settings) -> None:
        if self.painter is None:
            self.painter, restarted = Painter(Player(asked)), True
        else:
            restarted = self.painter.player.change(asked)
        self._begin(restarted)

    def _play(self, _: dict[str, Any]) -> None:
        self.playing = True
        self._credit, self._counted = 1.0, (time.monotonic(), self._step)
        self._turned = time.monotonic()

    def _pause(self, _: dict[str, Any]) -> None:
        self.playing, self._stale, self._owed = False, True, 0

    def _one(self, message: dict[str, Any]) -> None:
        updates = whole("updates", message.get("updates", 1), 1, 1000)
        self._player()
        self.playing, self._owed = False, updates

    def _reset(self, _: dict[str, Any]) -> None:
        self._player().reset()
        self.playing, self._owed = False, 0
        self._begin(restarted=True)

    def _set_speed(self, message: dict[str, Any]) -> None:
        rate = message.get("rate")
        self._limit = None if rate is None else real("rate", rate, 0.1, FASTEST)
        self._credit = 1.0

    def _seen(self, _: dict[str, Any]) -> None:
        self._wanted = True

    def _probe(self, message: dict[str, Any]) -> None:
        player = self._player()
        index = whole("network", message.get("network", 0), 0, len(player.networks) - 1)
        point = message.get("x")
        if not isinstance(point, list) or len(point) != 2:
            raise SettingsError(f"x is a list of two numbers, not {said(point)}", "x")
        x = [real("x", value, -1e6, 1e6) for value in point]
        eps = real("eps", message.get("eps", 0.3), 0, 1e3)
        norm = one_of("norm", message.get("norm", "linf"), BALLS)
        self.tell(kind="probe", network=index, **share.probe(player, index, x, eps, norm))

    def _check(self, message: dict[str, Any]) -> None:
        text = str(message.get("text", ""))[: LONGEST + 1]
        self._aside.do("check", lambda: _checked(text), lambda found: self.tell(**found))

    def _csv(self, message: dict[str, Any]) -> None:
        with naming("csv"):
            text = message.get("text")
            if not isinstance(text, str) or len(text) > UPLOAD:
                raise InputError(f"a CSV file is a text of at most {UPLOAD // 2**20} MiB")
            columns, target = message.get("columns"), message.get("target")
            if columns is not None and not _are_texts(columns):
                raise InputError("columns are two names")
            if target is not None and not isinstance(target, str):
                raise InputError("the target is the name of a column")
        name = str(message.get("name", ""))[:80]

        def read() -> dict[str, Any]:
            with naming("csv"):
                return from_csv(text, name, columns, target)

        self._aside.do("csv", read, lambda found: self.tell(**found))

    def _code(self, _: dict[str, Any]) -> None:
        self.tell(kind="code", text=share.code(self._player()))

    def _study(self, _: dict[str, Any]) -> None:
        self.tell(kind="study", **share.study(self._player()))

    def _figure(self, message: dict[str, Any]) -> None:
        player = self._player()
        index = whole("network", message.get("network", 0), 0, len(player.networks) - 1)
        form = one_of("format", message.get("format", "png"), ("png", "svg"))
        dark = message.get("dark") is True
        # a copy, since training goes on while it is drawn
        drawn = share.Snapshot.of(player, index)
        self._aside.do("figure", lambda: drawn.figure(form, dark), lambda found: self.tell(**found))

    def _dance(self, message: dict[str, Any]) -> None:
        settings, dark = self._player().settings, message.get("dark") is True
        self._aside.do(
            "dance", lambda: share.dance(settings, dark), lambda found: self.tell(**found)
        )

    def _player(self) -> Player:
        if self.painter is None:
            raise InputError("settings come first")
        return self.painter.player

    # --- turns ----------------------------------------------------------------------------------

    @property
    def _step(self) -> int:
        return 0 if self.painter is None else self.painter.player.step

    @property
    def waits_for(self) -> float | None:
        """Seconds until there is something to do here; None as long as no message comes."""
        now = time.monotonic()
        times = []
        if self._aside.busy:
            times.append(max(0.0, self._looked + GLANCE - now))
        if self._owed:
            times.append(0.0)
        if self.painter is not None and self.playing:
            short = 0.0 if self._limit is None else max(0.0, 1 - self._credit) / self._limit
            times.append(max(0.0, short - (now - self._turned)))
        if self._wanted and (self._stale or self.playing):
            times.append(max(0.0, self._due - now))
        return min(times, default=None)

    @property
    def is_due(self) -> bool:
        """Whether a turn would do something, or has to look after what is done aside."""
        return self.waits_for == 0

    def turn(self, seconds: float) -> None:
        """Train for so long, if the page plays, and draw a frame if it is time for one."""
        try:
            self._look_aside()
            if self.painter is None:
                return
            if self._owed:
                self._pay(self.painter.player, seconds)
            elif self.playing:
                self._train(self.painter.player, seconds)
            now = time.monotonic()
            if self._wanted and (self._stale or self.playing) and now >= self._due:
                self._draw(now)
        except Exception:
            log.exception("a session failed")
            self.playing, self._stale, self._wanted, self._owed = False, False, False, 0
            self.tell(kind="paused", message="training failed here; change a setting or reset")

    def _look_aside(self) -> None:
        """Take what was made aside, one error at a time."""
        self._looked = time.monotonic()
        for kind, then in self._aside.done():
            try:
                then()
            except PlieError as error:
                self._refuse(error, kind)
            except Exception:
                log.exception("something made aside has failed")
                sentence = "this cannot be made; the old state goes on"
                self.tell(kind="error", of=kind, message=sentence)
        if self._aside.is_slow("settings"):
            self.tell(kind="busy", message="preparing the activation …")

    def _begin(self, restarted: bool) -> None:
        assert self.painter is not None
        if restarted:
            self.painter = Painter(self.painter.player)
            self._counted, self._owed = (time.monotonic(), 0), 0
        self._stale = True
        self.tell(**self.painter.settings(restarted))

    def _pay(self, player: Player, seconds: float) -> None:
        """A part of the updates that were asked for by number."""
        before = player.step
        player.train(self._owed, seconds)
        self._owed -= player.step - before
        self._stale = True

    def _train(self, player: Player, seconds: float) -> None:
        now = time.monotonic()
        if now - self._touched > UNATTENDED:
            self.playing, self._stale = False, True
            minutes = round(UNATTENDED / 60)
            self.tell(kind="paused", message=f"paused after {minutes} minutes without a touch")
            return
        updates = 10**9
        if self._limit is not None:
            self._credit += (now - self._turned) * self._limit
            self._credit = min(self._credit, max(1.0, self._limit / 4))  # no racing to catch up
            updates = int(self._credit)
        self._turned = now
        before = player.step
        player.train(updates, seconds)
        self._credit -= player.step - before
        self._stale = True

    def _draw(self, now: float) -> None:
        assert self.painter is not None
        since, step = self._counted
        if now - since > 0.5:
            self._speed, self._counted = (self._step - step) / (now - since), (now, self._step)
        rate = round(self._speed, 1) if self.playing else 0.0
        frame = self.painter.frame(playing=self.playing, rate=rate)
        self._wanted, self._stale = False, False
        # by the clock, not by the last frame: that one was late by part of a turn
        self._due = max(self._due, now - 1 / RATE) + 1 / RATE
        self._send(frame)


def _are_texts(given: object) -> bool:
    return isinstance(given, list) and len(given) == 2 and all(isinstance(e, str) for e in given)


def _warm(settings: Settings) -> None:
    """Compile what the first call of a new function would wait for.

    The running player is not touched here, on another thread, while it trains.
    """
    for act in {act for network in settings.activations() for act in network}:
        x = torch.linspace(-1, 1, 8, requires_grad=True)
        act(x).sum().backward()
        curves(act)
        warm(act)


def _checked(text: str) -> dict[str, Any]:
    try:
        return {"kind": "check", "text": text, "ok": True, **curves(scalar(text))}
    except PlieError as error:
        return {"kind": "check", "text": text, "ok": False, "message": str(error)}


_DEEDS: dict[str, Callable[[Session, dict[str, Any]], None]] = {
    "settings": Session._settings,
    "play": Session._play,
    "pause": Session._pause,
    "step": Session._one,
    "reset": Session._reset,
    "speed": Session._set_speed,
    "seen": Session._seen,
    "probe": Session._probe,
    "check": Session._check,
    "csv": Session._csv,
    "code": Session._code,
    "study": Session._study,
    "figure": Session._figure,
    "dance": Session._dance,
}
